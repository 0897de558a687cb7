/**
 * Loads tfjs-node-gpu over a binding that lives outside node_modules. Owns the two tricks that this takes; nothing
 * in node_modules is written. Call it once a process, before anything else imports tfjs-node-gpu.
 */
import { createRequire, Module } from 'node:module';
import util from 'node:util';
import type * as tfjs from '@tensorflow/tfjs';
import { EngineError } from '../../shared/errors.js';
import { engineRelease } from './cache.js';

export type Tensorflow = typeof tfjs;

const ownRequire = createRequire(import.meta.url);

/** tfjs 4.22 calls `util.isNullOrUndefined`, which Node 23 removed. Puts it back where it is missing. */
export function provideIsNullOrUndefined(target: { isNullOrUndefined?: unknown } = util): void {
  target.isNullOrUndefined ??= (value: unknown) => value === null || value === undefined;
}

/**
 * tfjs-node-gpu asks `@mapbox/node-pre-gyp` for its binding's path. A stub in the module cache answers, so the
 * same instance serves every later `import '@tensorflow/tfjs-node-gpu'` or `'@tensorflow/tfjs'` of user code.
 */
export function requireNative(binding: string): Tensorflow {
  provideIsNullOrUndefined();
  const entry = ownRequire.resolve(engineRelease.packageName);
  const finder = createRequire(entry).resolve('@mapbox/node-pre-gyp');
  const before = ownRequire.cache[finder];
  const stub = new Module(finder);
  stub.filename = finder;
  stub.loaded = true;
  stub.exports = { find: () => binding };
  ownRequire.cache[finder] = stub;
  try {
    return ownRequire(entry) as Tensorflow;
  } catch (error) {
    throw new EngineError(
      `Loading TensorFlow: expected ${binding} to load, got "${error instanceof Error ? error.message : String(error)}". ` +
        'Run `lockstep engine install --force`, or choose WebAssembly with `--engine wasm`.',
      { path: binding },
      error,
    );
  } finally {
    // Only tfjs-node-gpu's own load may see the stub: other packages use node-pre-gyp in earnest.
    if (before === undefined) Reflect.deleteProperty(ownRequire.cache, finder);
    else ownRequire.cache[finder] = before;
  }
}

/** tfjs with its pure-JavaScript backend; the caller selects a backend. */
export function requireJavaScript(): Tensorflow {
  return ownRequire('@tensorflow/tfjs') as Tensorflow;
}

/** Registers the WebAssembly backend with the tfjs of `requireJavaScript`. */
export function requireWasm(): void {
  ownRequire('@tensorflow/tfjs-backend-wasm');
}
