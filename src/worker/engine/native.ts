/**
 * Loads tfjs-node-gpu over a binding that lives outside node_modules. Owns the two tricks that this takes; nothing
 * in node_modules is written. Call it once a process, before anything else imports tfjs-node-gpu.
 */
import { createRequire, Module } from 'node:module';
import path from 'node:path';
import util from 'node:util';
import type * as tfjs from '@tensorflow/tfjs';
import { EngineError, InvariantError } from '../../shared/errors.js';

export type Tensorflow = typeof tfjs;

const ownRequire = createRequire(import.meta.url);

/** tfjs 4.22 calls `util.isNullOrUndefined`, which Node 23 removed. Puts it back where it is missing. */
export function provideIsNullOrUndefined(target: { isNullOrUndefined?: unknown } = util): void {
  target.isNullOrUndefined ??= (value: unknown) => value === null || value === undefined;
}

/** What of node's module loader is replaced while the package loads; not in its types, and stable since Node 0.6. */
interface Resolver {
  _resolveFilename(request: string, ...rest: unknown[]): string;
}

const finderName = '@mapbox/node-pre-gyp';

/**
 * tfjs-node-gpu asks `@mapbox/node-pre-gyp` for its binding's path. A stub answers, whether that package is there or not, so the
 * same instance serves every later `import '@tensorflow/tfjs'` of user code.
 * @param directory the package's folder
 */
export function requireNative(binding: string, directory: string | undefined): Tensorflow {
  if (directory === undefined) throw new InvariantError('an engine without its package was found');
  provideIsNullOrUndefined();
  const entry = path.join(directory, 'dist', 'index.js');
  const finder = `${entry}#${finderName}`;
  const stub = new Module(finder);
  stub.filename = finder;
  stub.loaded = true;
  stub.exports = { find: () => binding };
  ownRequire.cache[finder] = stub;
  const resolver = Module as unknown as Resolver;
  const resolve = resolver._resolveFilename;
  resolver._resolveFilename = (request, ...rest) =>
    request === finderName ? finder : resolve.call(resolver, request, ...rest);
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
    resolver._resolveFilename = resolve;
    Reflect.deleteProperty(ownRequire.cache, finder);
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
