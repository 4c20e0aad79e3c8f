import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

// `npm run dev` serves the page itself and hands the API over to a running `cellkeeper serve`.
const backend = "http://127.0.0.1:8000";

export default defineConfig({
  // Relative addresses: the page works under any path that a proxy puts it at.
  base: "./",
  plugins: [react()],
  build: { target: "es2022", assetsInlineLimit: 4096 },
  server: { proxy: { "/api": backend } },
});
