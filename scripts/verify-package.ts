/**
 * The walk of a newcomer, from the packed package in an empty folder, each stage one command and no file edited: install, init,
 * engine, an epoch with the dashboard on, predict, demo, eval, export, and the compiler over the project. Nothing is
 * there before: npm's, pip's and the engine's caches are of this walk alone. Needs the registries. `npm run verify:package`.
 */
import { mkdtempSync, mkdirSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { visitDashboard, visitDemo } from './newcomer/pages.js';
import { expectIn, Walk } from './newcomer/stages.js';

const root = fileURLToPath(new URL('../', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'lockstep-empty-'));
const empty = join(folder, 'project');
const walk = new Walk({
  XDG_CACHE_HOME: join(folder, 'cache'),
  npm_config_cache: join(folder, 'npm'),
  NO_COLOR: '1',
});
const lockstep = (...args: string[]): Promise<string> => walk.stage(empty, ['npx', 'lockstep', ...args]);

try {
  await walk.stage(root, ['npm', 'pack', '--silent', '--pack-destination', folder], { shown: 'npm pack' });
  const [tarball = ''] = readdirSync(folder).filter((name) => name.endsWith('.tgz'));
  mkdirSync(empty);
  await walk.stage(empty, ['npm', 'install', join(folder, tarball)], { shown: `npm install ${tarball}` });
  expectIn(await lockstep('init', '.'), /Written: .*lockstep\.config\.ts/);
  await walk.stage(empty, ['npx', '--yes', '--package', 'typescript@5.9', 'tsc', '--noEmit']);
  await lockstep('engine', 'install');
  await lockstep('doctor');

  const train = ['train', '--epochs', '1', '--out', 'runs/first', '--dashboard', '0', '--json'];
  const trained = await walk.stage(empty, ['npx', 'lockstep', ...train], {
    meanwhile: (training) => visitDashboard(training, 'first'),
  });
  expectIn(trained, /"event":"worker","state":"joined"[^\n]*"engine":"TensorFlow/);
  expectIn(trained, /"event":"eval","split":"test"[^\n]*"accuracy":0\.9[89]/);
  expectIn(trained, /"event":"done","steps":938,/);

  // The first, second and fifth picture of MNIST's test set, written by init.
  const digits = ['digits/seven.png', 'digits/two.png', 'digits/four.png'];
  expectIn(await lockstep('predict', 'runs/first', ...digits), /: 7 \([^]*: 2 \([^]*: 4 \(/);
  await walk.stage(empty, ['npx', 'lockstep', 'demo', 'runs/first'], {
    meanwhile: (demo) => visitDemo(demo, join(empty, 'runs', 'first')),
  });
  expectIn(await lockstep('eval', 'runs/first'), /Accuracy: 9[89]\d\d\/10000/);
  await lockstep('export', 'runs/first', '--format', 'onnx');
  if (statSync(join(empty, 'runs', 'first', 'model.onnx')).size < 100_000)
    throw new Error('runs/first/model.onnx: expected a file of 100 kB or more.');
  process.stderr.write(`\n${walk.report()}\n\nThe package works from an empty folder.\n`);
} finally {
  await walk.end();
  rmSync(folder, { recursive: true, force: true });
}
