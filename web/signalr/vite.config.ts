// How the SignalR page is built: a folder of its own in the package, the same bytes from the same sources.
import { fileURLToPath } from "node:url";
import { defineConfig } from "vite";

const named = {
  entryFileNames: "signalr/[name].js",
  chunkFileNames: "signalr/[name].js",
  assetFileNames: "signalr/[name][extname]",
};

export default defineConfig({
  root: fileURLToPath(new URL(".", import.meta.url)),
  base: "./",
  build: {
    outDir: "../../src/kaiwa/server/signalr_page",
    emptyOutDir: true,
    target: "es2022",
    modulePreload: false,
    assetsInlineLimit: 0,
    rolldownOptions: { output: named },
  },
});
