/**
 * Packs, installs from an empty folder with nothing of this checkout around, and trains, evaluates and predicts there by
 * `npx lockstep`, as a stranger would. Needs the npm registry. `npm run verify:package`.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'lockstep-empty-'));
const empty = join(folder, 'project');

/** What npm hands down from this checkout's scripts and .npmrc would make the folder less empty than it looks. */
const environment = Object.fromEntries(
  Object.entries(process.env).filter(([name]) => !/^npm_(config|package|lifecycle)_/i.test(name)),
);

function step(what: string, command: string, args: readonly string[], cwd: string): string {
  const start = performance.now();
  process.stderr.write(`${what} ... `);
  const stdout = execFileSync(command, args, {
    cwd,
    env: environment,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
    timeout: 10 * 60_000,
  });
  process.stderr.write(`${((performance.now() - start) / 1000).toFixed(1)} s\n`);
  return stdout;
}

function expectIn(text: string, pattern: RegExp): void {
  if (!pattern.test(text)) throw new Error(`expected ${String(pattern)}, got:\n${text}`);
}

try {
  step('npm pack', 'npm', ['pack', '--pack-destination', folder], root);
  const [tarball = ''] = readdirSync(folder).filter((name) => name.endsWith('.tgz'));
  execFileSync('mkdir', [empty]);
  step('npm install', 'npm', ['install', join(folder, tarball)], empty);
  const lockstep = (...args: string[]): string =>
    step(`npx lockstep ${args.join(' ')}`, 'npx', ['lockstep', ...args], empty);
  lockstep('engine', 'install', '--if-missing');
  const trained = lockstep(
    'train',
    '--max-steps',
    '200',
    '--out',
    'runs/first',
    '--json',
    '--evaluate',
    'test',
  );
  expectIn(trained, /"event":"done","steps":200,/);
  expectIn(trained, /"accuracy":0\.9/);
  expectIn(lockstep('eval', 'runs/first'), /Accuracy: \d+\/10000/);
  lockstep('export', 'runs/first', '--format', 'onnx');
  process.stderr.write('The package works from an empty folder.\n');
} finally {
  rmSync(folder, { recursive: true, force: true });
}
