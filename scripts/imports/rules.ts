/**
 * The import rules of `src`: one table that names, for each layer, the layers and the packages that it may import. Anything
 * that the table does not name is refused. docs/architecture.md explains the layers.
 */

export interface Layer {
  /** Folder or file, relative to the repository's root. The longest prefix that matches a file is its layer. */
  readonly path: string;
  /** Layers that it may import besides itself, by path. */
  readonly imports: readonly string[];
  /** npm packages that it may import; `node:*` stands for Node's own modules. */
  readonly packages: readonly string[];
  /** npm packages of which it may import the types only. */
  readonly types?: readonly string[];
}

const tfjs = ['@tensorflow/tfjs-core', '@tensorflow/tfjs-layers', '@tensorflow/tfjs-data'];

export const layers: readonly Layer[] = [
  { path: 'src/shared', imports: [], packages: ['node:*', 'zod', 'msgpackr', 'protobufjs'] },
  // The only code that opens ZeroMQ sockets.
  { path: 'src/shared/transport/zmq', imports: ['src/shared'], packages: ['node:*', 'zeromq'] },
  {
    path: 'src/api',
    imports: ['src/shared'],
    packages: ['node:*', 'csv-parse', 'jiti', 'sharp'],
    types: tfjs,
  },
  // The functions that train and that use saved runs start commands as child processes, and load tfjs only to open a model.
  {
    path: 'src/api/runs',
    imports: ['src/api', 'src/launcher', 'src/shared', 'src/worker'],
    packages: ['node:*'],
    types: tfjs,
  },
  // The coordinator holds no tensors and opens no socket of its own.
  { path: 'src/coordinator', imports: ['src/shared'], packages: ['node:*'] },
  {
    path: 'src/worker',
    imports: ['src/shared', 'src/shared/transport/zmq', 'src/api'],
    packages: ['node:*', 'zod', 'proper-lockfile', 'sharp', 'yauzl', ...tfjs],
  },
  {
    path: 'src/launcher',
    imports: ['src/shared', 'src/shared/transport/zmq', 'src/coordinator'],
    packages: ['node:*', 'zod', 'proper-lockfile'],
  },
  { path: 'src/chaos', imports: ['src/shared'], packages: ['node:*'] },
  // The dashboard, TensorBoard's files and OpenTelemetry's data are made from a run's events alone.
  {
    path: 'src/dashboard',
    imports: ['src/shared', 'src/dashboard/run-view'],
    packages: ['node:*', '@hono/node-server', 'hono', 'prom-client'],
  },
  { path: 'src/dashboard/run-view', imports: ['src/shared'], packages: [] },
  // This code runs in a browser.
  { path: 'src/dashboard/page', imports: ['src/shared', 'src/dashboard/run-view'], packages: ['uplot'] },
  { path: 'src/tensorboard', imports: ['src/shared'], packages: ['node:*', 'crc-32'] },
  { path: 'src/otlp', imports: ['src/shared'], packages: ['node:*'] },
  {
    path: 'src/cli',
    imports: [
      'src/api',
      'src/chaos',
      'src/coordinator',
      'src/dashboard',
      'src/launcher',
      'src/otlp',
      'src/shared',
      'src/shared/transport/zmq',
      'src/tensorboard',
      'src/worker',
    ],
    packages: ['node:*', 'commander', 'log-update', 'picocolors', 'pino', 'sharp', 'yaml'],
    types: [...tfjs, 'zod'],
  },
  { path: 'src/index.ts', imports: ['src/api', 'src/api/runs', 'src/shared'], packages: [] },
];

/** Files and packages that one file imports, at most. */
export const maxDependencies = 15;
