// Adds up the suites' JSON reports: `node count.mjs FOLDER SUITE…` prints `N passed, N failed, N skipped`.
// A suite that left no report counts as one failure: it broke before it could run a test.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

const [folder, ...suites] = process.argv.slice(2);
const total = { passed: 0, failed: 0, skipped: 0 };
for (const suite of suites) {
  let report;
  try {
    report = JSON.parse(readFileSync(join(folder, `${suite}.json`), 'utf8'));
  } catch (error) {
    console.error(`${suite}: no report (${error.message})`);
    total.failed++;
    continue;
  }
  const brokenFiles = report.testResults.filter(file => file.status === 'failed' && file.assertionResults.length === 0).length;
  total.passed += report.numPassedTests;
  total.failed += report.numFailedTests + brokenFiles;
  total.skipped += report.numPendingTests + report.numTodoTests;
  for (const file of report.testResults) {
    for (const test of file.assertionResults) {
      if (test.status !== 'passed') console.log(`${test.status}: ${test.fullName}`);
    }
  }
}
console.log(`${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped`);
process.exitCode = total.failed === 0 && total.passed > 0 ? 0 : 1;
