/** The licences of the packages whose modules are in bundles, which are distributed with the bundles. */
import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';

/** Returns the folder of the package to which a module belongs; undefined if it is a module of Lockstep. */
export function packageOf(id) {
  return /^(.*\/node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(id)?.[1];
}

/** Writes the licences of the packages in these folders to `LICENSES.txt` in `folder`. */
export function writeLicences(packages, folder) {
  const texts = packages.sort().map((found) => {
    const { name, version, license } = JSON.parse(readFileSync(path.join(found, 'package.json'), 'utf8'));
    const file = readdirSync(found).find((one) => /^(licen[cs]e|copying)(\.\w+)?$/i.test(one));
    if (file === undefined)
      throw new Error(`${name}: expected a file with its licence in ${found}, got none.`);
    return `${name} ${version} (${license})\n\n${readFileSync(path.join(found, file), 'utf8').trim()}\n`;
  });
  writeFileSync(path.join(folder, 'LICENSES.txt'), texts.join(`\n${'-'.repeat(80)}\n\n`));
}
