/** `lockstep demo`: serves a page on which a saved model recognizes drawn digits. The page is examples/browser. */

import { createRequire } from 'node:module';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { normalizationOf } from '../../shared/data/preprocessing.js';
import { ConfigError } from '../../shared/errors.js';
import { opensInBrowser } from '../../worker/model-files/browser-model.js';
import { readModelFiles } from '../../worker/model-files/load-model.js';
import { readPreprocessing } from '../../worker/model-files/preprocessing-file.js';
import { exitStatus } from '../../shared/exit-status.js';
import { readRunConfig } from '../runs/saved-run.js';
import { openClassifier, type Classifier } from '../demo/server-side.js';
import { serveFiles, type Served } from '../demo/static-server.js';

export interface DemoFlags {
  readonly config?: string;
  readonly host: string;
  readonly port: string;
  readonly json?: boolean;
}

const page = fileURLToPath(new URL('../../../examples/browser/', import.meta.url));
const pageFiles = ['style.css', 'demo.js', 'field.js'];

/** Serves the page until SIGINT or SIGTERM. Resolves with the exit status. @throws ModelError, ConfigError */
export async function demo(run: string, flags: DemoFlags): Promise<number> {
  const directory = resolve(run);
  const { host, port, json = false } = flags;
  const number = Number(port);
  if (!Number.isInteger(number) || number < 0 || number > 65_535)
    throw new ConfigError(`--port: expected a number up to 65535, got "${port}".`);
  // All files are read, so that a damaged model is reported now and not on the page.
  const modelFiles = await readModelFiles(directory);
  const { file, weightFiles } = modelFiles;
  const normalize = normalizationOf(await readRunConfig(directory), await readPreprocessing(file));
  // Before the definition is loaded, which may register its layers.
  const classifier = opensInBrowser(modelFiles) ? undefined : await openClassifier(directory, flags);
  const files = new Map<string, Served>([
    ['/', { file: join(page, 'index.html') }],
    ...pageFiles.map((name) => [`/${name}`, { file: join(page, name) }] as const),
    ['/tf.min.js', { file: tfjs() }],
    [
      '/about.json',
      { text: JSON.stringify({ normalize, ...(classifier && { server: sizeOf(classifier) }) }) },
    ],
    ...(classifier ? ([['/classify', { answer: classifier.probabilities }]] as const) : []),
    ['/model/model.json', { file }],
    ...weightFiles.map(({ name, path }) => [`/model/${name}`, { file: path }] as const),
  ]);
  const server = await serveFiles(files, { host, port: number });
  process.stdout.write(
    json
      ? `${JSON.stringify({ event: 'demo', url: server.url })}\n`
      : `Draw a digit at ${server.url}\nPress Ctrl-C to stop.\n`,
  );
  await new Promise<void>((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => resolve());
  });
  await server.close();
  return exitStatus.done;
}

function sizeOf({ width, height }: Classifier): { width: number; height: number } {
  return { width, height };
}

/** Returns the path of tfjs for browsers: a single file that needs no eval, from a dependency of this package. */
function tfjs(): string {
  const manifest = createRequire(import.meta.url).resolve('@tensorflow/tfjs/package.json');
  return join(dirname(manifest), 'dist', 'tf.es2017.min.js');
}
