// An MCP server of the stock SDK whose list of tools grows: `learn` adds a tool that sings.
import { McpServer } from "@modelcontextprotocol/sdk/server/mcp.js";
import { StdioServerTransport } from "@modelcontextprotocol/sdk/server/stdio.js";
import { z } from "zod";

const server = new McpServer({ name: "changing", version: "1.0.0" });
const says = (text) => ({ content: [{ type: "text", text }] });

server.registerTool("learn", { description: "Learn a tool", inputSchema: { tool: z.string() } }, async ({ tool }) => {
  server.registerTool(tool, { description: "Sing", inputSchema: {} }, async () => says("la la"));
  return says("learned");
});

await server.connect(new StdioServerTransport());
