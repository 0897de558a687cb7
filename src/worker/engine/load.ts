/** Loads the tensor engine that a process computes with. Makes the choice of `auto`. Importing this file loads no tfjs. */

import { engineDirectory, engineVariants, findEngine, installCommand } from './cache.js';
import type { Engine, LoadEngineOptions } from './engine.js';
import { engines } from './engines.js';

/**
 * Loads the engine and makes it tfjs's current backend. Call it once per process.
 * @throws EngineError if the chosen engine is absent, or if an installed engine is damaged or does not load: a fallback would
 * hide a defect behind a slower run
 */
export async function loadEngine(options: LoadEngineOptions): Promise<Engine> {
  const { choice, host, warn } = options;
  if ((choice === 'auto' || choice === 'tensorflow') && findEngine(host) === undefined)
    await installationsEnded(options);
  if (choice !== 'auto') return engines[choice].load(options);
  if (findEngine(host) !== undefined) return engines.tensorflow.load(options);
  warn(
    'Native TensorFlow is not installed: computing in WebAssembly, one thread a worker, several times slower, so give every ' +
      `core a worker (--workers). Run \`${installCommand}\` for native speed and GPUs, or choose with --engine.`,
  );
  return engines.wasm.load(options);
}

/** @param lock path of the lock of the other process */
export const waitingText = (lock: string): string =>
  `Waiting until another process has installed native TensorFlow (its lock: ${lock}).`;

/** Another process may be installing native TensorFlow. WebAssembly, chosen meanwhile, would compute other bits than the next run. */
async function installationsEnded({ host, warn, onWait }: LoadEngineOptions): Promise<void> {
  const { installationEnded } = await import('./install/exclusive.js');
  for (const variant of engineVariants) {
    const directory = engineDirectory(host, variant);
    let isReported = false as boolean;
    await installationEnded(directory, (lock) => {
      if (onWait) onWait(lock);
      else if (!isReported) warn(waitingText(lock));
      isReported = true;
    });
    if (isReported) onWait?.(null);
  }
}
