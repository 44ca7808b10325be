// Addresses of the server that this page came from, whatever path a proxy has put before it.

export function here(path: string): URL {
  return new URL(path, document.baseURI);
}

export function hereBySocket(path: string): URL {
  const url = here(path);
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  return url;
}
