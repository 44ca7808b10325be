// How the console is built: plain names and relative addresses, so that it works under any path, and the
// same bytes from the same sources, so that a test can compare them with what is committed.
import { defineConfig } from "vite";

const named = {
  entryFileNames: "console/[name].js",
  chunkFileNames: "console/[name].js",
  assetFileNames: "console/[name][extname]",
};

export default defineConfig({
  base: "./",
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
  build: {
    outDir: "../src/kaiwa/server/static",
    emptyOutDir: false, // other pages live beside this one; `npm run build` empties its own folder
    target: "es2022",
    modulePreload: false,
    assetsInlineLimit: 0,
    rolldownOptions: { output: named },
  },
  worker: { format: "es", rolldownOptions: { output: named } },
  server: { proxy: { "/v1": { target: "http://127.0.0.1:8000", ws: true }, "/console": "http://127.0.0.1:8000" } },
});
