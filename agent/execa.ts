/** Loaded where a child runs: 130 modules, which commands that run none need not wait for. The bundler keeps this part alone. */
export { execa } from "execa";
