import type { ServerResponse } from "node:http";
import { asset } from "../assets.ts";
import { sendText } from "./http.ts";

/** Scripts and styles of our own alone, and nothing sent elsewhere. */
const policy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "font-src 'self'",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join("; ");

/** The web page's files by path. They hold no secret: the page asks for the key. */
export const pages: Readonly<Record<string, { readonly file: string; readonly type: string }>> = {
  "/": { file: "web/index.html", type: "text/html; charset=utf-8" },
  "/assets/app.js": { file: "web/app.js", type: "text/javascript; charset=utf-8" },
  "/assets/app.css": { file: "web/app.css", type: "text/css; charset=utf-8" },
};

/** Sends a page file; false if this build carries none. */
export function sendPage(response: ServerResponse, path: string): boolean {
  const page = pages[path];
  if (page === undefined) return false;
  let text: string;
  try {
    text = asset(page.file);
  } catch {
    return false;
  }
  sendText(response, 200, page.type, text, { "Content-Security-Policy": policy });
  return true;
}
