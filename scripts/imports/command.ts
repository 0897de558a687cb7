/** `npm run lint:imports`: prints each violation of the import rules; the exit status is 1 if there is one. */

import { fileURLToPath } from 'node:url';
import { checkImports } from './check.js';

const violations = await checkImports(fileURLToPath(new URL('../../', import.meta.url)));
for (const violation of violations) console.error(violation);
console.log(`Imports: ${violations.length} violations.`);
process.exitCode = violations.length === 0 ? 0 : 1;
