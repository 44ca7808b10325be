// What the bundler gives that TypeScript does not know: addresses of worklets it has built, and style sheets.

declare module "*?worker&url" {
  const address: string;
  export default address;
}

declare module "*.css";
