/** The names of the tensor engines, and which of them have threads. worker/engine/engines.ts implements them. */

export const engineKinds = ['tensorflow', 'wasm', 'js', 'webgpu'] as const;
export type EngineKind = (typeof engineKinds)[number];

/** Returns true if an op of the engine can run in several threads. With `auto` the engine is not known yet. */
export function hasThreads(engine: EngineKind | 'auto'): boolean {
  return engine === 'auto' || engine === 'tensorflow';
}
