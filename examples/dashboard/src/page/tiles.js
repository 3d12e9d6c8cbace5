// The tiles: one number each, with its past.

import { drawLine, roundUp, span } from './chart.js'
import { isCalm, onFrame, write } from './frame.js'
import { FORMATS, bytes, compact } from './numbers.js'

/** How many of the newest seconds are compared with as many before them. */
const COMPARED = 10

/** The width of the large chart, in units of its own. */
const WIDTH = 1000

/** Keeps the tiles of a board in step with its channel. */
export function showTiles(board, channel) {
  const tiles = new Map()
  for (const element of document.querySelectorAll(`[data-tile^="${board}/"]`)) {
    tiles.set(element.dataset.tile.slice(board.length + 1), element)
  }
  const changed = onFrame((keys) => {
    for (const key of keys) {
      const tile = tiles.get(key)
      const message = channel.state.get(key)
      if (tile && message) paint(tile, message.data)
    }
  })
  channel.on('change', ({ key }) => changed(key))
}

function paint(tile, { value, of, history }) {
  const { format } = tile.dataset
  const text = FORMATS[format](value)
  write(tile.querySelector('.value'), of && format === 'bytes' ? `${text} of ${bytes(of)}` : text)
  const delta = tile.querySelector('.delta')
  if (delta) compare(delta, history)
  const plot = tile.querySelector('.plot')
  if (plot) paintPlot(tile, plot, history)
  else drawLine(tile.querySelector('.spark'), history, of ? { low: 0, high: of } : span(history))
}

// The newest seconds against those before.
function compare(delta, history) {
  const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length
  const before = mean(history.slice(-2 * COMPARED, -COMPARED))
  const change = before ? (mean(history.slice(-COMPARED)) / before - 1) * 100 : 0
  const rounded = Math.round(change * 10) / 10
  delta.dataset.trend = rounded > 0 ? 'up' : rounded < 0 ? 'down' : 'level'
  write(delta, `${rounded > 0 ? '▲' : rounded < 0 ? '▼' : '='} ${Math.abs(rounded).toFixed(1)} %`)
}

// The newest part of the line enters from the right within the second after which the next value comes.
function paintPlot(tile, plot, history) {
  const high = roundUp(Math.max(...history) * 1.05)
  const step = drawLine(plot, history, { low: 0, high, width: WIDTH, height: 100, ahead: 1 })
  const marks = tile.querySelectorAll('.scale span')
  marks.forEach((mark, index) => write(mark, index === 0 ? `€${compact(high)}` : index === 1 ? `€${compact(high / 2)}` : '0'))
  if (isCalm()) return
  for (const animation of plot.getAnimations()) animation.cancel()
  plot.animate([{ transform: `translateX(${(100 * step) / WIDTH}%)` }, { transform: 'none' }], 1000)
}
