import { defineConfig, type Plugin } from "vite";

// A running `millpond serve` that `npm run dev` asks, and a token of it where it wants one.
const SERVER = process.env.MILLPOND_URL ?? "http://127.0.0.1:8000";
const LOGIN = process.env.MILLPOND_TOKEN ? { Authorization: `Bearer ${process.env.MILLPOND_TOKEN}` } : {};

/** In development the page is told by the running server what that writes into its own. */
const told: Plugin = {
  name: "told-by-the-server",
  apply: "serve",
  async transformIndexHtml(html) {
    const page = await (await fetch(`${SERVER}/`, { headers: LOGIN })).text();
    const found = /<meta name="millpond" content="([^"]*)">/.exec(page);
    if (!found) throw new Error(`${SERVER} wants a token of the role view or admin: MILLPOND_TOKEN=mp_... npm run dev`);
    return html.replace("/__root__", "").replace("{{JSON}}", () => found[1]!);
  },
};

const asked = {
  target: SERVER,
  changeOrigin: true,
  headers: LOGIN,
  configure: (proxy: { on: (event: "proxyReq", act: (request: { removeHeader: (name: string) => void }) => void) => void }) =>
    proxy.on("proxyReq", (request) => request.removeHeader("origin")),
};

export default defineConfig(({ command }) => ({
  // The server writes the path under which it is mounted in place of /__root__.
  base: command === "build" ? "/__root__/assets/" : "/",
  plugins: [told],
  server: { proxy: { "/v1": asked, "/docs": asked, "/assets": asked } },
  build: {
    outDir: "../src/millpond/http/dashboard/static",
    emptyOutDir: true,
    assetsDir: "",
    assetsInlineLimit: 0,
    cssCodeSplit: false,
    modulePreload: false,
    target: "es2023",
    rolldownOptions: {
      output: { entryFileNames: "page.js", chunkFileNames: "page-[name].js", assetFileNames: "page[extname]" },
    },
  },
}));
