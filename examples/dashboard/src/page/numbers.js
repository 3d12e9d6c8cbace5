// Numbers as people read them.

const whole = new Intl.NumberFormat('en', { maximumFractionDigits: 0 })
const money = new Intl.NumberFormat('en', { style: 'currency', currency: 'EUR' })
const round = new Intl.NumberFormat('en', { style: 'currency', currency: 'EUR', maximumFractionDigits: 0 })
const rough = new Intl.NumberFormat('en', { maximumSignificantDigits: 3, notation: 'compact' })
const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB']

export const count = (value) => whole.format(value)

export const euros = (value) => money.format(value)

export const wholeEuros = (value) => round.format(value)

export const percent = (value) => `${value.toFixed(0)} %`

export const compact = (value) => rough.format(value)

export function bytes(value) {
  const power = Math.min(UNITS.length - 1, Math.floor(Math.log2(Math.max(value, 1)) / 10))
  const scaled = value / 1024 ** power
  return `${scaled.toFixed(power > 0 && scaled < 100 ? 1 : 0)} ${UNITS[power]}`
}

export const rate = (value) => `${bytes(value)}/s`

/** The formats that the page names in `data-format`. */
export const FORMATS = { count, euros, wholeEuros, percent, bytes, rate }
