// What every entry of the package exports.
export { OffhookError, type ErrorDetails } from "./errors.js";
export * from "./host.js";
export type { ModuleSource } from "./module.js";
export { readWav } from "./wav.js";
