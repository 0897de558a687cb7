/**
 * The properties besides the configuration on which a worker's bits depend; they are compared when workers join. Two machines
 * with equal properties run the same kernels with the same instructions.
 */
import type { WorkerIdentity } from '../../shared/protocol/messages.js';
import type { Engine } from './engine.js';
import { engines } from './engines.js';

/** @param kernels the name of the kernels' implementation */
export function identityOf(engine: Engine, kernels: string): WorkerIdentity {
  return {
    engine: `${engine.kind} ${engine.version}`,
    kernels,
    device: engine.device.kind === 'gpu' ? `gpu ${engine.device.name}` : 'cpu',
    threads: String(engine.device.threads),
    ...engines[engine.kind].processor(engine),
  };
}
