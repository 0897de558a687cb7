/**
 * Loads tfjs-node-gpu with a binding outside node_modules, which takes two workarounds; nothing in node_modules is written.
 * Call it once per process, before any other code imports tfjs-node-gpu.
 */
import { createRequire, Module } from 'node:module';
import path from 'node:path';
import util from 'node:util';
import type * as tfjs from '@tensorflow/tfjs';
import { EngineError, InvariantError } from '../../shared/errors.js';

export type Tensorflow = typeof tfjs;

const ownRequire = createRequire(import.meta.url);

/** Restores `util.isNullOrUndefined`, which tfjs 4.22 calls and Node 23 removed. */
export function provideIsNullOrUndefined(target: { isNullOrUndefined?: unknown } = util): void {
  target.isNullOrUndefined ??= (value: unknown) => value === null || value === undefined;
}

/** The function of Node's module loader that is replaced during the load; untyped, and stable since Node 0.6. */
interface Resolver {
  _resolveFilename(request: string, ...rest: unknown[]): string;
}

const finderName = '@mapbox/node-pre-gyp';

/**
 * Answers tfjs-node-gpu's question to `@mapbox/node-pre-gyp` for the path of its binding, with or without that package, so
 * that the same instance serves every later `import '@tensorflow/tfjs'` of user code.
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
    // The replacement is visible only during tfjs-node-gpu's load: other packages use the real node-pre-gyp.
    resolver._resolveFilename = resolve;
    Reflect.deleteProperty(ownRequire.cache, finder);
  }
}

/** Loads tfjs with its pure JavaScript backend; the caller selects a backend. */
export function requireJavaScript(): Tensorflow {
  return ownRequire('@tensorflow/tfjs') as Tensorflow;
}

/** Registers the WebAssembly backend with the tfjs of `requireJavaScript`. */
export function requireWasm(): void {
  ownRequire('@tensorflow/tfjs-backend-wasm');
}
