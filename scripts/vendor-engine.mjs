/**
 * Makes vendor/tfjs-node-gpu: @tensorflow/tfjs-node-gpu as published, less its tests and its install script, which downloads libtensorflow
 * and fails where that is blocked. A consumer's npm would run that script if the package were a dependency; so Lockstep brings the
 * package itself (Apache-2.0) and takes a consumer's own copy where there is one. What its code needs is among Lockstep's dependencies.
 */
import { cpSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';

const tests = /(_test|run_tests)\.(js|d\.ts)$/;

/** @param root the repository's top, with its dependencies installed */
export function vendorEngine(root) {
  const from = path.join(root, 'node_modules', '@tensorflow', 'tfjs-node-gpu');
  const to = path.join(root, 'vendor', 'tfjs-node-gpu');
  const draft = `${to}.draft`;
  rmSync(draft, { recursive: true, force: true });
  for (const folder of ['dist', 'binding'])
    cpSync(path.join(from, folder), path.join(draft, folder), {
      recursive: true,
      filter: (file) => !tests.test(file),
    });
  cpSync(path.join(root, 'LICENSE'), path.join(draft, 'LICENSE'));
  const { name, version, main, types, repository, license } = JSON.parse(
    readFileSync(path.join(from, 'package.json'), 'utf8'),
  );
  const about = { name, version, main, types, repository, license, private: true };
  writeFileSync(path.join(draft, 'package.json'), `${JSON.stringify(about, null, 2)}\n`);
  rmSync(to, { recursive: true, force: true });
  renameSync(draft, to);
}
