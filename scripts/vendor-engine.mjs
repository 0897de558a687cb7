/**
 * Creates vendor/tfjs-node-gpu: the published package @tensorflow/tfjs-node-gpu (Apache-2.0) without its tests and its install
 * script. npm would run that script if the package were a dependency, and it fails where its download of libtensorflow is
 * blocked. Lockstep therefore ships the package, depends on the packages that it imports, and prefers a copy that the consumer
 * has installed.
 */
import { cpSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';

const tests = /(_test|run_tests)\.(js|d\.ts)$/;

/** @param root the repository's root folder, with its dependencies installed */
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
  const manifest = { name, version, main, types, repository, license, private: true };
  writeFileSync(path.join(draft, 'package.json'), `${JSON.stringify(manifest, null, 2)}\n`);
  rmSync(to, { recursive: true, force: true });
  renameSync(draft, to);
}
