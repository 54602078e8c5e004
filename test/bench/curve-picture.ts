// Curves as a picture: a chart for each, CPU seconds and memory over the size of what was built, both axes from nought.
export interface CurvePoint {
  readonly curve: string;
  readonly size: number;
  readonly cpuSeconds: number;
  readonly memoryMb: number;
}

const chart = { width: 300, height: 180, left: 46, right: 46, top: 34, bottom: 34 } as const;
const plot = { width: chart.width - chart.left - chart.right, height: chart.height - chart.top - chart.bottom } as const;

const style = `text{font:11px system-ui,sans-serif;fill:#24292f}.title{font-weight:600}.axis{stroke:#8c959f;fill:none}
.cpu{stroke:#0969da;fill:none;stroke-width:2}.memory{stroke:#bc4c00;fill:none;stroke-width:2;stroke-dasharray:4 3}
circle.cpu{fill:#0969da;stroke:none}circle.memory{fill:#bc4c00;stroke:none}text.cpu{fill:#0969da;stroke:none}text.memory{fill:#bc4c00;stroke:none}
@media(prefers-color-scheme:dark){text{fill:#e6edf3}}`;

/** An SVG of all curves, side by side. */
export function drawCurves(points: readonly CurvePoint[]): string {
  const curves = [...Map.groupBy(points, ({ curve }) => curve)];
  const charts = curves.map(([name, own], index) => `<g transform="translate(${index * chart.width},0)">${drawCurve(name, own)}</g>`);
  const size = `width="${curves.length * chart.width}" height="${chart.height}"`;
  return `<svg xmlns="http://www.w3.org/2000/svg" ${size} role="img"><style>${style}</style>\n${charts.join('\n')}\n</svg>\n`;
}

function drawCurve(name: string, points: readonly CurvePoint[]): string {
  const [sizes, seconds, megabytes] = [
    points.map(({ size }) => size),
    points.map(({ cpuSeconds }) => cpuSeconds),
    points.map(({ memoryMb }) => memoryMb),
  ].map((values) => niceTop(Math.max(...values)));
  if (sizes === undefined || seconds === undefined || megabytes === undefined) return '';
  const across = (size: number): number => chart.left + (size / sizes) * plot.width;
  const up = (value: number, most: number): number => chart.top + plot.height * (1 - value / most);
  const line = (kind: 'cpu' | 'memory', valueOf: (point: CurvePoint) => number, most: number): string => {
    const places = points.map((point) => ({ x: across(point.size).toFixed(1), y: up(valueOf(point), most).toFixed(1) }));
    const dots = places.map(({ x, y }) => `<circle class="${kind}" cx="${x}" cy="${y}" r="3"/>`);
    return `<polyline class="${kind}" points="${places.map(({ x, y }) => `${x},${y}`).join(' ')}"/>${dots.join('')}`;
  };
  const bottom = chart.top + plot.height;
  return [
    `<text class="title" x="${chart.left}" y="14">${name}</text>`,
    `<path class="axis" d="M${chart.left},${chart.top}V${bottom}H${chart.left + plot.width}V${chart.top}"/>`,
    `<text class="cpu" x="${chart.left - 4}" y="${chart.top + 4}" text-anchor="end">${seconds} s</text>`,
    `<text class="memory" x="${chart.left + plot.width + 4}" y="${chart.top + 4}">${megabytes} MB</text>`,
    `<text x="${chart.left}" y="${bottom + 16}">0</text>`,
    `<text x="${chart.left + plot.width}" y="${bottom + 16}" text-anchor="end">${sizes.toLocaleString('en')}</text>`,
    line('memory', ({ memoryMb }) => memoryMb, megabytes),
    line('cpu', ({ cpuSeconds }) => cpuSeconds, seconds),
  ].join('');
}

/** The next number above that people like at the end of an axis. */
function niceTop(value: number): number {
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 1.5, 2, 3, 4, 5, 6, 8, 10].map((step) => step * power).find((top) => top >= value) ?? 10 * power;
}
