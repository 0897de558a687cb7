/** Makes the description of a loaded engine from tfjs's current backend. */

import os from 'node:os';
import type { Engine, EngineDeviceDescription } from './engine.js';
import { tfjsVersions } from './engine-files.js';
import type { Tensorflow } from '../../api/tensorflow.js';

/** @param title the engine's name and version for users, for example `TensorFlow 2.21.0` */
export function describeEngine(
  tf: Tensorflow,
  title: string,
  { files, ...properties }: Pick<Engine, 'kind' | 'version' | 'device' | 'memory' | 'files'>,
): Engine {
  const { kind, name, threads } = properties.device;
  const suffix = threads === 1 ? '1 thread' : `${threads} threads`;
  return {
    ...properties,
    tf,
    backendName: tf.getBackend(),
    files: { ...tfjsVersions(tf), ...files },
    describe: () => `${title} on ${kind.toUpperCase()}, ${name}, ${suffix}`,
  };
}

/** The device of an engine that computes in one thread of the CPU. */
export const oneThread = (): EngineDeviceDescription => ({ kind: 'cpu', name: cpuName(), threads: 1 });

export function cpuName(): string {
  return os.cpus()[0]?.model.trim() ?? process.arch;
}

/** Makes the current backend's first write without its greeting, which it prints unless PROD is set. */
export function withoutBanner(tf: Tensorflow): void {
  const production = tf.env().getBool('PROD');
  tf.env().set('PROD', true);
  tf.scalar(0).dispose();
  tf.env().set('PROD', production);
}
