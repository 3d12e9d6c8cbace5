// Lines, areas and bars as SVG paths, drawn by hand.

/**
 * Draws `values` into the svg: the line, and what is below it. `low` and `high` are the values at its edges; so many of the
 * first are `ahead` of the left one.
 *
 * @returns how far apart two values are.
 */
export function drawLine(svg, values, { low, high, width = 100, height = 100, ahead = 0 }) {
  const step = width / Math.max(1, values.length - 1 - ahead)
  const range = high - low || 1
  const points = values.map((value, index) => [(index - ahead) * step, height - ((value - low) / range) * height])
  const line = smooth(points)
  svg.setAttribute('viewBox', `0 0 ${width} ${height}`)
  svg.querySelector('.stroke').setAttribute('d', line)
  svg.querySelector('.area').setAttribute('d', line && `${line}V${height}H${round(-ahead * step)}Z`)
  return step
}

/** The path of bars, one for each value, `width` by `height` all together; none is ever quite nothing. */
export function bars(values, width, height) {
  const highest = Math.max(...values, 4)
  const step = width / values.length
  let path = ''
  values.forEach((value, index) => {
    const tall = Math.max(1, (value / highest) * height)
    path += `M${round(index * step)} ${height}v${round(-tall)}h${round(step - 1)}v${round(tall)}z`
  })
  return path
}

/** The least and the most that a chart of these values shows, with some air. */
export function span(values) {
  const low = Math.min(...values)
  const high = Math.max(...values)
  const air = (high - low) * 0.15 || Math.abs(high) * 0.1 || 1
  return { low: low - air, high: high + air }
}

/** A round number that is at least `value`. */
export function roundUp(value) {
  const power = 10 ** Math.floor(Math.log10(Math.max(value, 1)))
  return [1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10].map((factor) => factor * power).find((candidate) => candidate >= value)
}

// Through all points, and between two of them never beyond either.
function smooth(points) {
  let path = ''
  points.forEach(([x, y], index) => {
    if (index === 0) {
      path = `M${round(x)} ${round(y)}`
      return
    }
    const [beforeX, beforeY] = points[index - 1]
    const middle = round((beforeX + x) / 2)
    path += `C${middle} ${round(beforeY)} ${middle} ${round(y)} ${round(x)} ${round(y)}`
  })
  return path
}

function round(value) {
  return Math.round(value * 100) / 100
}
