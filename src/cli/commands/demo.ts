/** `lockstep demo`: a page in which the saved model recognises what is drawn. The page is examples/browser. */

import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ConfigError } from '../../shared/errors.js';
import { readModelFiles } from '../../worker/model-files/load-model.js';
import { exitStatus } from '../exit.js';
import { readRunConfig } from '../runs/saved-run.js';
import { serveFiles, type Served } from '../static-server.js';

export interface DemoFlags {
  readonly host: string;
  readonly port: string;
  readonly json?: boolean;
}

const page = fileURLToPath(new URL('../../../examples/browser/', import.meta.url));
const pageFiles = ['style.css', 'demo.js', 'field.js'];

/** Serves until SIGINT or SIGTERM. @throws ModelError, ConfigError */
export async function demo(directory: string, { host, port, json = false }: DemoFlags): Promise<number> {
  const number = Number(port);
  if (!Number.isInteger(number) || number < 0 || number > 65_535)
    throw new ConfigError(`--port: expected a number up to 65535, got "${port}".`);
  // Reading them all finds a damaged model now and not in the page.
  const { file, weightFiles } = await readModelFiles(directory);
  const { normalize } = await readRunConfig(directory);
  const files = new Map<string, Served>([
    ['/', { file: join(page, 'index.html') }],
    ...pageFiles.map((name) => [`/${name}`, { file: join(page, name) }] as const),
    ['/tf.min.js', { file: tfjs() }],
    ['/about.json', { text: JSON.stringify({ normalize }) }],
    ['/model/model.json', { file }],
    ...weightFiles.map(({ name, path }) => [`/model/${name}`, { file: path }] as const),
  ]);
  const server = await serveFiles(files, { host, port: number });
  process.stdout.write(
    json
      ? `${JSON.stringify({ event: 'demo', url: server.url })}\n`
      : `Draw a digit at ${server.url}\nCtrl-C ends it.\n`,
  );
  await new Promise<void>((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => resolve());
  });
  await server.close();
  return exitStatus.done;
}

/** tfjs for browsers, in one file that needs no eval, from the package that this one depends on. */
function tfjs(): string {
  const manifest = createRequire(import.meta.url).resolve('@tensorflow/tfjs/package.json');
  return join(dirname(manifest), 'dist', 'tf.es2017.min.js');
}
