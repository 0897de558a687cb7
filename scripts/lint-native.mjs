/**
 * Checks that the C++ in native/ and test/native/ is formatted by .clang-format. Passes with a message where the required version of
 * clang-format is not installed, because the rest of the repository can be developed without it.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

/** The major version, on which the formatting depends. It is that of Debian 12. */
const required = '14';
const candidates = process.env.CLANG_FORMAT
  ? [process.env.CLANG_FORMAT]
  : [`clang-format-${required}`, 'clang-format'];

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const sources = ['native', path.join('test', 'native')].flatMap((folder) =>
  existsSync(path.join(root, folder))
    ? readdirSync(path.join(root, folder))
        .filter((name) => /\.(cc|h)$/.test(name))
        .map((name) => path.join(folder, name))
    : [],
);

/** The major version of a program; undefined if it does not start. */
function versionOf(program) {
  const { stdout } = spawnSync(program, ['--version'], { encoding: 'utf8' });
  return /version (\d+)\./.exec(stdout ?? '')?.[1];
}

const versions = candidates.map((program) => ({ program, version: versionOf(program) }));
const found = versions.find(({ version }) => version === required);
if (found === undefined) {
  const got = versions.map(({ program, version }) => `${program} ${version ?? 'not found'}`).join(', ');
  process.stderr.write(
    `lint:native: skipped: expected clang-format ${required}, got ${got}. ` +
      `Install it (Debian: \`apt-get install clang-format-${required}\`), or name it in CLANG_FORMAT.\n`,
  );
} else {
  const check = spawnSync(found.program, ['--dry-run', '-Werror', ...sources], {
    cwd: root,
    encoding: 'utf8',
  });
  if (check.status !== 0) {
    process.stderr.write(
      `${check.stderr}lint:native: expected the formatting of .clang-format, got other formatting. ` +
        `Run \`${found.program} -i\` on the files above.\n`,
    );
    process.exit(1);
  }
}
