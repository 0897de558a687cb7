/** `lockstep demo`: serves a page on which a saved model recognizes drawn digits. The page is examples/browser. */

import { createRequire } from 'node:module';
import { basename, dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { normalizationOf } from '../../shared/data/preprocessing.js';
import { ConfigError } from '../../shared/errors.js';
import { opensInBrowser } from '../../worker/model-files/browser-model.js';
import { readModelFiles } from '../../worker/model-files/load-model.js';
import { readPreprocessing } from '../../worker/model-files/preprocessing-file.js';
import { exitStatus } from '../../shared/exit-status.js';
import { readRunConfig } from '../runs/saved-run.js';
import { inputShapesOf, requirePictureInput } from '../demo/picture-input.js';
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
  const inputs = inputShapesOf(modelFiles.artifacts.modelTopology);
  if (inputs) requirePictureInput(run, inputs);
  const normalize = normalizationOf(await readRunConfig(directory), await readPreprocessing(file));
  // Before the definition is loaded, which may register its layers.
  const classifier = opensInBrowser(modelFiles) ? undefined : await openClassifier(directory, flags);
  const files = new Map<string, Served>([
    ['/', { file: join(page, 'index.html') }],
    ...pageFiles.map((name) => [`/${name}`, { file: join(page, name) }] as const),
    ['/tfjs-registrations.js', { file: registrations }],
    ...tfjsFiles().map((file) => [`/${basename(file)}`, { file }] as const),
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

/** Files of tfjs for browsers, which need no eval, by package. */
const browserFiles: Readonly<Record<string, readonly string[]>> = {
  'tfjs-core': ['tf-core.es2017.min.js'],
  'tfjs-layers': ['tf-layers.es2017.min.js'],
  'tfjs-backend-cpu': ['tf-backend-cpu.es2017.min.js'],
  'tfjs-backend-wasm': [
    'tf-backend-wasm.es2017.min.js',
    'tfjs-backend-wasm.wasm',
    'tfjs-backend-wasm-simd.wasm',
  ],
};

/** The gradients and the methods of tensors, which scripts/build-tfjs.mjs bundles. */
const registrations = fileURLToPath(new URL('../../../dist/tfjs/registrations.cjs', import.meta.url));

/** Returns the paths of tfjs's files, from dependencies of this package. */
function tfjsFiles(): string[] {
  const { resolve: find } = createRequire(import.meta.url);
  return Object.entries(browserFiles).flatMap(([name, files]) => {
    const folder = dirname(find(`@tensorflow/${name}/package.json`));
    return files.map((file) => join(folder, 'dist', file));
  });
}
