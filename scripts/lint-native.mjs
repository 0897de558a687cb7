/**
 * Checks that the C++ in native/ and test/native/ is formatted by .clang-format. Passes with a message where clang-format is not
 * installed, since the rest of the repository can be developed without it.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const program = process.env.CLANG_FORMAT ?? 'clang-format';
const sources = ['native', path.join('test', 'native')].flatMap((folder) =>
  existsSync(path.join(root, folder))
    ? readdirSync(path.join(root, folder))
        .filter((name) => /\.(cc|h)$/.test(name))
        .map((name) => path.join(folder, name))
    : [],
);

const version = spawnSync(program, ['--version'], { encoding: 'utf8' });
if (version.error) {
  process.stderr.write(
    `lint:native: skipped, because ${program} did not start (${version.error.message}). ` +
      'Install it (Debian: `apt-get install clang-format`), or name it in CLANG_FORMAT.\n',
  );
} else {
  const check = spawnSync(program, ['--dry-run', '-Werror', ...sources], { cwd: root, encoding: 'utf8' });
  if (check.status !== 0) {
    process.stderr.write(
      `${check.stderr}lint:native: expected the formatting of .clang-format, got other formatting (${version.stdout.trim()}). ` +
        `Run \`${program} -i\` on the files above.\n`,
    );
    process.exit(1);
  }
}
