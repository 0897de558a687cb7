/**
 * What `npm start` and `npm test` do first: dependencies, build, engine, each only when something changed. Node's own modules
 * only, since nothing is installed the first time. With nothing to do it costs a few dozen milliseconds.
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { vendorEngine } from './vendor-engine.mjs';

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const at = (...parts) => path.join(root, ...parts);
const stampFile = at('node_modules', '.lockstep-setup.json');
const lockFolder = at('.lockstep-setup.lock');
const say = (text) => process.stderr.write(`${text}\n`);

function run(program, args, environment = {}) {
  const { status, error } = spawnSync(program, args, {
    cwd: root,
    stdio: ['ignore', 2, 2],
    env: { ...process.env, ...environment },
  });
  if (error) say(`${program}: ${error.message}`);
  return status === 0;
}

/** The npm that runs this script, else the one on the PATH. */
function npm(...args) {
  const self = process.env.npm_execpath;
  return self?.endsWith('.js') ? run(process.execPath, [self, ...args]) : run('npm', args);
}

function hashOf(files) {
  const hash = createHash('sha256');
  for (const file of files) hash.update(file).update(existsSync(at(file)) ? readFileSync(at(file)) : '');
  return hash.digest('hex');
}

function sources() {
  return [at('src'), at('native', 'wasm')]
    .flatMap((folder) => readdirSync(folder, { recursive: true, withFileTypes: true }))
    .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
    .map((entry) => path.relative(root, path.join(entry.parentPath, entry.name)))
    .sort();
}

function stamp() {
  try {
    return JSON.parse(readFileSync(stampFile, 'utf8'));
  } catch {
    return {};
  }
}

function keep(name, value) {
  writeFileSync(stampFile, JSON.stringify({ ...stamp(), [name]: value }));
}

function fail(message) {
  say(message);
  process.exit(1);
}

function installDependencies() {
  const wanted = hashOf(['package.json', 'package-lock.json', 'scripts/vendor-engine.mjs']);
  if (stamp().dependencies === wanted && existsSync(at('vendor'))) return;
  say('Setup: installing dependencies ...');
  if (!npm('ci', '--no-fund', '--no-audit')) fail('Setup: `npm ci` failed; its messages are above.');
  vendorEngine(root);
  keep('dependencies', wanted);
}

function build() {
  const page = 'src/dashboard/page/tsconfig.build.json';
  const settings = ['tsconfig.json', 'tsconfig.build.json', 'src/dashboard/page/tsconfig.json', page];
  const wanted = hashOf([...settings, 'scripts/build-wasm.mjs', ...sources()]);
  const results = ['cli/main.js', 'dashboard/page/main.js', 'wasm/kernels.wasm'].map((file) =>
    at('dist', file),
  );
  if (stamp().build === wanted && results.every((file) => existsSync(file))) return;
  say('Setup: building ...');
  rmSync(at('dist'), { recursive: true, force: true });
  const compilers = [
    [at('node_modules', 'typescript', 'bin', 'tsc'), '-p', 'tsconfig.build.json'],
    [at('node_modules', 'typescript', 'bin', 'tsc'), '-p', page],
    [at('scripts', 'build-wasm.mjs')],
  ];
  if (!compilers.every((compiler) => run(process.execPath, compiler))) {
    fail("Setup: the build failed; the compiler's messages are above.");
  }
  keep('build', wanted);
}

async function provideEngine() {
  // Whoever chose an engine that comes with the packages needs no other one.
  if (['wasm', 'js'].includes(process.env.LOCKSTEP_ENGINE)) return;
  const { engineHost, findEngine } = await import(new URL('../dist/worker/engine/cache.js', import.meta.url));
  if (findEngine(engineHost(process.env, os.homedir()))) return;
  // Where it failed today it would fail again, after a minute of pip's own attempts where there is no network.
  const failed = stamp().engineFailed;
  if (failed?.path === process.env.PATH && Math.abs(Date.now() - failed.atMs) < 24 * 3_600_000) return;
  say('Setup: providing TensorFlow ...');
  if (run(process.execPath, [at('dist', 'cli', 'main.js'), 'engine', 'install', '--if-missing'])) {
    keep('engineFailed', undefined);
    return;
  }
  keep('engineFailed', { path: process.env.PATH, atMs: Date.now() });
  say(
    'Setup: going on in WebAssembly, several times slower than native TensorFlow; see above for what to do. ' +
      '`npx lockstep engine install` tries again at any time, and `npm start` tomorrow.',
  );
}

/** One set-up at a time in one checkout; the second waits for the first. */
function lock() {
  for (;;) {
    try {
      mkdirSync(lockFolder);
      writeFileSync(path.join(lockFolder, 'pid'), String(process.pid));
      process.once('exit', () => rmSync(lockFolder, { recursive: true, force: true }));
      return;
    } catch (error) {
      if (error.code !== 'EEXIST') fail(`Setup: ${lockFolder}: ${error.message}`);
    }
    if (holderIsDead()) rmSync(lockFolder, { recursive: true, force: true });
    else Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 200);
  }
}

function holderIsDead() {
  try {
    const pid = Number(readFileSync(path.join(lockFolder, 'pid'), 'utf8'));
    if (pid > 0) process.kill(pid, 0);
    // Made, but its number not yet written: dead only if that lasts.
    return pid > 0 ? false : Date.now() - statSync(lockFolder).mtimeMs > 10_000;
  } catch (error) {
    return (
      error.code === 'ESRCH' ||
      (error.code === 'ENOENT' &&
        existsSync(lockFolder) &&
        Date.now() - statSync(lockFolder).mtimeMs > 10_000)
    );
  }
}

lock();
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(130));
installDependencies();
build();
await provideEngine();
