// usage: node make-page.js WORDS PAGE
// Turns a list of words into a page: the build step of this example.
const { readFileSync, writeFileSync } = require('node:fs');

const [words, page] = process.argv.slice(2);
const items = readFileSync(words, 'utf8').trim().split('\n');
writeFileSync(
  page,
  `<!doctype html>\n<title>hello</title>\n<h1>Hello from a borrowed shell</h1>\n<ul>\n${items.map((item) => `<li>${item}`).join('\n')}\n</ul>\n`,
);
console.log(`wrote ${page} with ${items.length} items by Node ${process.version}`);
