/**
 * Verifies the packed package in an empty folder as a new user would use it: `npm run verify:package`.
 *
 * Each stage is one command, without editing a file: install, init, MNIST, type check, engine, one epoch with the dashboard, predict, demo,
 * eval and export. The caches of npm, pip and the engine start empty, so the package registries must be reachable; with `--warm`, the
 * caches of this machine are used.
 */
import { mkdtempSync, mkdirSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { visitDashboard, visitDemo } from './package-check/pages.js';
import { diskBytes, maxInstalledBytes } from './package-check/installed-size.js';
import { expectIn, StageRunner } from './package-check/stages.js';

const root = fileURLToPath(new URL('../', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'lockstep-empty-'));
const project = join(folder, 'project');
const runner = new StageRunner({
  ...(process.argv.includes('--warm')
    ? {}
    : { XDG_CACHE_HOME: join(folder, 'cache'), npm_config_cache: join(folder, 'npm') }),
  NO_COLOR: '1',
});
const lockstep = (...args: string[]): Promise<string> => runner.stage(project, ['npx', 'lockstep', ...args]);

try {
  await runner.stage(root, ['npm', 'pack', '--silent', '--pack-destination', folder], { label: 'npm pack' });
  const [tarball = ''] = readdirSync(folder).filter((name) => name.endsWith('.tgz'));
  mkdirSync(project);
  await runner.stage(project, ['npm', 'install', join(folder, tarball)], { label: `npm install ${tarball}` });
  const installed = diskBytes([join(project, 'node_modules')]);
  process.stderr.write(`    ${(installed / 1e6).toFixed(1)} MB\n`);
  if (installed >= maxInstalledBytes)
    throw new Error(`node_modules: expected less than ${maxInstalledBytes} bytes, got ${installed}.`);
  expectIn(await lockstep('init', '.'), /Written: .*lockstep\.config\.ts/);
  expectIn(await lockstep('data', 'mnist'), /60000 training and 10000 test pictures/);
  await runner.stage(project, ['npm', 'run', 'check']);
  await lockstep('engine', 'install');
  await lockstep('doctor');

  const train = ['train', '--epochs', '1', '--out', 'runs/first', '--dashboard', '0', '--json'];
  const trained = await runner.stage(project, ['npx', 'lockstep', ...train], {
    duringRun: (training) => visitDashboard(training, 'first'),
  });
  expectIn(trained, /"event":"worker","state":"joined"[^\n]*"engine":"TensorFlow/);
  expectIn(trained, /"event":"eval","split":"test"[^\n]*"accuracy":0\.9[89]/);
  expectIn(trained, /"event":"done","steps":938,/);

  // The first, second and fifth image of MNIST's test set, which init writes.
  const digits = ['digits/seven.png', 'digits/two.png', 'digits/four.png'];
  expectIn(await lockstep('predict', 'runs/first', ...digits), /: 7 \([^]*: 2 \([^]*: 4 \(/);
  await runner.stage(project, ['npx', 'lockstep', 'demo', 'runs/first'], {
    duringRun: (demo) => visitDemo(demo, join(project, 'runs', 'first')),
  });
  expectIn(await lockstep('eval', 'runs/first'), /Accuracy: 9[89]\d\d\/10000/);
  await lockstep('export', 'runs/first', '--format', 'onnx');
  if (statSync(join(project, 'runs', 'first', 'model.onnx')).size < 100_000)
    throw new Error('runs/first/model.onnx: expected at least 100 kB.');
  process.stderr.write(`\n${runner.report()}\n\nThe package works from an empty folder.\n`);
} finally {
  await runner.close();
  rmSync(folder, { recursive: true, force: true });
}
