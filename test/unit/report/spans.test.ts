import assert from 'node:assert/strict';
import { test } from 'node:test';
import { withoutValues } from '../../../src/report/spans.ts';

const rows: readonly (readonly [text: string, told: string])[] = [
  ['ENV TOKEN=abc OTHER="d e" LAST=\'f\'', 'ENV TOKEN=… OTHER=… LAST=…'],
  ['ENV TOKEN a b c', 'ENV TOKEN …'],
  ['ARG KEY=s3cr3t', 'ARG KEY=…'],
  ['ARG KEY', 'ARG KEY'],
  ['LABEL a.b=c', 'LABEL a.b=…'],
  ['RUN TOKEN=abc make --password=x "--key=a b"', 'RUN TOKEN=… make --password=… "--key=…"'],
  ['RUN X=a"b c"d TOKEN="cut of…', 'RUN X=… TOKEN=…'],
  ['COPY --from=build /a /b', 'COPY --from=… /a /b'],
];
for (const [text, told] of rows) test(`withoutValues() of ${text}`, () => assert.equal(withoutValues(text), told));
