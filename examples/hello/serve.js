// usage: node serve.js [--once]
// Serves the page; with --once prints it and ends.
const { createServer } = require('node:http');
const { readFileSync } = require('node:fs');
const { join } = require('node:path');

const page = readFileSync(join(__dirname, 'page.html'));
if (process.argv.includes('--once')) {
  process.stdout.write(page);
} else {
  const port = Number(process.env.PORT ?? 8080);
  createServer((_request, response) => response.setHeader('content-type', 'text/html').end(page)).listen(port, () =>
    console.log(`listening on ${port}`),
  );
}
