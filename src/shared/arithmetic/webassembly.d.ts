/** What is used of the WebAssembly namespace, which TypeScript declares for browsers only. */
declare namespace WebAssembly {
  type Module = object;
  const Module: new (bytes: Uint8Array) => Module;
  class Instance {
    constructor(module: Module, imports: Readonly<Record<string, Readonly<Record<string, unknown>>>>);
    readonly exports: Readonly<Record<string, unknown>>;
  }
  interface Memory {
    /** Another one after each growth. */
    readonly buffer: ArrayBuffer;
  }
}
