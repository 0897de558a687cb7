/**
 * Sets up a checkout before `npm start` and `npm test`: installs dependencies, builds, and installs the native engine, each only if
 * something changed since the last time. Imports Node's own modules only, because nothing is installed the first time. With
 * nothing to do, it takes a few dozen milliseconds.
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
const log = (text) => process.stderr.write(`${text}\n`);

function run(program, args, environment = {}) {
  const { status, error } = spawnSync(program, args, {
    cwd: root,
    stdio: ['ignore', 2, 2],
    env: { ...process.env, ...environment },
  });
  if (error) log(`${program}: ${error.message}`);
  return status === 0;
}

/** Runs npm: the one that runs this script, otherwise the one on the PATH. */
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

function saveStamp(name, value) {
  writeFileSync(stampFile, JSON.stringify({ ...stamp(), [name]: value }));
}

function fail(message) {
  log(message);
  process.exit(1);
}

function installDependencies() {
  const wanted = hashOf(['package.json', 'package-lock.json', 'scripts/vendor-engine.mjs']);
  if (stamp().dependencies === wanted && existsSync(at('vendor'))) return;
  log('Setup: installing dependencies (about a minute) ...');
  if (!npm('ci', '--no-fund', '--no-audit')) fail('Setup: `npm ci` failed; its messages are above.');
  vendorEngine(root);
  saveStamp('dependencies', wanted);
}

function build() {
  const scripts = ['page', 'wasm', 'tfjs', 'bundled', 'processes'].map((name) => `scripts/build-${name}.mjs`);
  const wanted = hashOf(['tsconfig.json', 'tsconfig.build.json', ...scripts, ...sources()]);
  const results = [
    'cli/main.js',
    'dashboard/page/main.js',
    'wasm/kernels.wasm',
    'tfjs/registrations.cjs',
    'bundled/LICENSES.txt',
    'processes/LICENSES.txt',
  ].map((file) => at('dist', file));
  if (stamp().build === wanted && results.every((file) => existsSync(file))) return;
  log('Setup: building (half a minute) ...');
  rmSync(at('dist'), { recursive: true, force: true });
  const compilers = [
    [at('node_modules', 'typescript', 'bin', 'tsc'), '-p', 'tsconfig.build.json'],
    ...scripts.map((script) => [at(script)]),
  ];
  if (!compilers.every((compiler) => run(process.execPath, compiler))) {
    fail("Setup: the build failed; the compiler's messages are above.");
  }
  saveStamp('build', wanted);
}

async function provideEngine() {
  // The WebAssembly and JavaScript engines are npm packages, which are installed already.
  if (['wasm', 'js'].includes(process.env.LOCKSTEP_ENGINE)) return;
  const { engineHost, findEngine } = await import(new URL('../dist/worker/engine/cache.js', import.meta.url));
  if (findEngine(engineHost(process.env, os.homedir()))) return;
  // A failed attempt is not repeated for a day: without a network, pip alone takes a minute to give up.
  const failed = stamp().engineFailed;
  if (failed?.path === process.env.PATH && Math.abs(Date.now() - failed.atMs) < 24 * 3_600_000) return;
  log('Setup: providing TensorFlow (one to three minutes; a line per stage) ...');
  if (run(process.execPath, [at('dist', 'cli', 'main.js'), 'engine', 'install', '--if-missing'])) {
    saveStamp('engineFailed', undefined);
    return;
  }
  saveStamp('engineFailed', { path: process.env.PATH, atMs: Date.now() });
  log(
    'Setup: continuing with WebAssembly, which is several times slower than native TensorFlow; the reason is above. ' +
      'Run `npx lockstep engine install` to try again; `npm start` tries again after a day.',
  );
}

/** Acquires the lock of this checkout, so that one set-up runs at a time. Waits for another set-up to end. */
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
    // The holder has created the lock, and not yet written its process id. It is dead only if that state persists.
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
