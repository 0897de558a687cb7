/**
 * Loads tfjs-node-gpu with a binding outside node_modules; nothing in node_modules is written. Call it once per process, before any
 * other code imports tfjs-node-gpu.
 */
import { createRequire, Module } from 'node:module';
import path from 'node:path';
import util from 'node:util';
import type { Tensorflow } from '../../api/tensorflow.js';
import { EngineError, InvariantError } from '../../shared/errors.js';
import { requireTfjs } from './tfjs.js';

const ownRequire = createRequire(import.meta.url);

/** Restores `util.isNullOrUndefined`, which tfjs 4.22 calls and Node 23 removed. */
export function provideIsNullOrUndefined(target: { isNullOrUndefined?: unknown } = util): void {
  target.isNullOrUndefined ??= (value: unknown) => value === null || value === undefined;
}

/** The function of Node's module loader that is replaced during the load; untyped, and stable since Node 0.6. */
interface Resolver {
  _resolveFilename(request: string, ...rest: unknown[]): string;
}

/**
 * Loads tfjs-node-gpu. Its question to `@mapbox/node-pre-gyp` for the path of the binding is answered here, with or without that
 * package, and its import of `@tensorflow/tfjs` gives the module of `requireTfjs`.
 * @param directory the package's folder
 */
export function requireNative(binding: string, directory: string | undefined): Tensorflow {
  if (directory === undefined) throw new InvariantError('an engine without its package was found');
  provideIsNullOrUndefined();
  const entry = path.join(directory, 'dist', 'index.js');
  const answers: Readonly<Record<string, unknown>> = {
    '@mapbox/node-pre-gyp': { find: () => binding },
    '@tensorflow/tfjs': requireTfjs(),
  };
  const place = (request: string): string => `${entry}#${request}`;
  for (const [request, exported] of Object.entries(answers)) {
    const answer = new Module(place(request));
    answer.filename = place(request);
    answer.loaded = true;
    answer.exports = exported;
    ownRequire.cache[place(request)] = answer;
  }
  const resolver = Module as unknown as Resolver;
  const resolve = resolver._resolveFilename;
  resolver._resolveFilename = (request, ...rest) =>
    request in answers ? place(request) : resolve.call(resolver, request, ...rest);
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
    // The replacement is visible only during tfjs-node-gpu's load: other packages use the real ones.
    resolver._resolveFilename = resolve;
    for (const request of Object.keys(answers)) Reflect.deleteProperty(ownRequire.cache, place(request));
  }
}

/** Registers the WebAssembly backend with the tfjs of `requireTfjs`. */
export function requireWasm(): void {
  ownRequire('@tensorflow/tfjs-backend-wasm');
}
