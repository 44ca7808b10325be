// Starts the stand-in of Cosmos DB on a port, mended where it answers a point read of nothing with 500.
const { createHttpServer } = require("@vercel/cosmosdb-server");

const server = createHttpServer({ keepAlive: true });
// With this header it leaves out the comparison of keys that stumbles over a missing document.
server.prependListener("request", (request) => {
  if (request.method === "GET") request.headers["x-ms-documentdb-query-enablecrosspartition"] = "true";
});
server.listen(Number(process.argv[2]), "127.0.0.1");
