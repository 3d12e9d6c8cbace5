// Fails where a built module is larger, gzipped, than what users were promised.
import { readFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';

/** Bytes. The core has everything but the add-ons. */
const BUDGETS = { 'tricast.js': 6144, 'share.js': 1500 };

for (const [name, budget] of Object.entries(BUDGETS)) {
  const size = gzipSync(readFileSync(new URL(`dist/${name}`, import.meta.url)), { level: 9 }).length;
  console.log(`${name}: ${size} of ${budget} bytes gzipped`);
  if (size > budget) process.exitCode = 1;
}
