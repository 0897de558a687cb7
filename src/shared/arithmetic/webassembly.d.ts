/** The part of the WebAssembly namespace that Lockstep uses; TypeScript declares the namespace for browsers only. */
declare namespace WebAssembly {
  type Module = object;
  const Module: new (bytes: Uint8Array) => Module;
  class Instance {
    constructor(module: Module, imports: Readonly<Record<string, Readonly<Record<string, unknown>>>>);
    readonly exports: Readonly<Record<string, unknown>>;
  }
  interface Memory {
    /** Replaced by another buffer at each growth. */
    readonly buffer: ArrayBuffer;
  }
}
