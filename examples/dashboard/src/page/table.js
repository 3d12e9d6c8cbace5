// The table of products: a row for each key, made once, written to where something changed, moved where its place did.

import { bars } from './chart.js'
import { isCalm, write } from './frame.js'
import { count, euros } from './numbers.js'

/** Pieces that a shelf holds. */
const FULL = 900

/** What a column is sorted by, and whether the most comes first. */
const COLUMNS = {
  name: { of: ({ name }) => name, isDown: false },
  price: { of: ({ price }) => price, isDown: true },
  stock: { of: ({ stock }) => stock, isDown: false },
  sold: { of: ({ sold }) => sold, isDown: true },
  recent: { of: ({ trend }) => sum(trend), isDown: true },
}

export class Table {
  /** Rows by key: elements, the product as it was painted, and the place. */
  #rows = new Map()
  #column = 'recent'
  #isDown = true
  #wanted = ''
  #section
  #scroller
  #body
  #template = document.getElementById('row-template')

  constructor(section) {
    this.#section = section
    this.#scroller = section.querySelector('.scroller')
    this.#body = section.querySelector('tbody')
    for (const head of section.querySelectorAll('[data-column]')) {
      head.querySelector('button').addEventListener('click', () => this.#sortBy(head.dataset.column))
    }
    this.#showOrder()
    const search = section.querySelector('[type="search"]')
    search.addEventListener('input', () => {
      this.#wanted = search.value.trim().toLowerCase()
      this.#scroller.scrollTop = 0
      this.sort(true)
    })
    document.addEventListener('keydown', (event) => {
      if (event.key !== '/' || event.target.closest('input, textarea, select')) return
      event.preventDefault()
      search.focus()
    })
  }

  /** Paints the rows of these keys as `state` has them. */
  paint(keys, state) {
    // Asked once, and before anything is written: each later answer would lay out the table first.
    const seen = this.#inSight()
    let isNew = false
    for (const key of keys) {
      const product = state.get(key)?.data
      const row = this.#rows.get(key)
      if (product && row) this.#paintRow(row, product, seen)
      else if (product) this.#add(key, product)
      else if (row) this.#remove(key, row)
      isNew ||= !product || !row
    }
    this.#section.removeAttribute('aria-busy')
    if (isNew) this.sort(true)
  }

  /** Puts every row where it belongs by now; not under the pointer of somebody who reads there, unless it `must` be. */
  sort(must = false) {
    if (this.#rows.size === 0 || (!must && this.#body.matches(':hover'))) return
    const seen = this.#inSight()
    const rows = [...this.#rows.values()]
    const shown = rows.filter(({ product }) => matches(product, this.#wanted))
    const { of } = COLUMNS[this.#column]
    const values = new Map(shown.map((row) => [row, of(row.product)]))
    const sign = this.#isDown ? -1 : 1
    shown.sort((one, other) => sign * compare(values.get(one), values.get(other)) || compare(one.key, other.key))
    for (const row of rows) row.element.hidden = !matches(row.product, this.#wanted)
    shown.forEach((row, place) => {
      if (row.place === place) return
      row.element.classList.toggle('moves', !must && isIn(seen, row.place) && isIn(seen, place))
      row.element.style.setProperty('--place', place)
      row.element.ariaRowIndex = place + 2
      row.place = place
    })
    this.#body.style.setProperty('--rows', shown.length)
    this.#section.querySelector('table').ariaRowCount = shown.length + 1
    const found = this.#wanted ? `${count(shown.length)} of ${count(rows.length)}` : count(rows.length)
    write(document.getElementById('found'), found)
    write(document.getElementById('hint'), shown.length > 0 ? '' : 'Nothing is called that.')
  }

  #sortBy(column) {
    this.#isDown = column === this.#column ? !this.#isDown : COLUMNS[column].isDown
    this.#column = column
    this.#showOrder()
    this.#scroller.scrollTop = 0
    this.sort(true)
  }

  #showOrder() {
    for (const head of this.#section.querySelectorAll('[data-column]')) {
      head.ariaSort = head.dataset.column !== this.#column ? 'none' : this.#isDown ? 'descending' : 'ascending'
    }
  }

  #add(key, product) {
    const element = this.#template.content.firstElementChild.cloneNode(true)
    element.dataset.key = key
    const [name, group] = element.querySelector('.name').children
    const [level, stock] = element.querySelector('.shelf').children
    const [chart, recent] = element.querySelector('.recent').children
    const [price, sold] = [element.querySelector('.price'), element.querySelector('.sold')]
    const cells = { name, group, price, level: level.firstElementChild, stock, sold, bars: chart.firstElementChild, recent }
    const row = { key, element, cells, product, place: -1 }
    this.#rows.set(key, row)
    this.#paintRow(row, product, NOWHERE)
    this.#body.append(element)
  }

  #remove(key, { element }) {
    element.remove()
    this.#rows.delete(key)
  }

  #paintRow(row, product, seen) {
    const { cells, product: before } = row
    row.product = product
    write(cells.name, product.name)
    write(cells.group, product.group)
    write(cells.price, euros(product.price / 100))
    write(cells.stock, count(product.stock))
    write(cells.sold, count(product.sold))
    write(cells.recent, count(sum(product.trend)))
    cells.level.style.transform = `scaleX(${Math.min(1, product.stock / FULL)})`
    cells.level.dataset.level = product.stock < 120 ? 'low' : 'fine'
    cells.bars.setAttribute('d', bars(product.trend, 48, 20))
    if (isCalm() || !isIn(seen, row.place)) return
    if (product.stock > before.stock) flash(row.element, '--delivered', 1600)
    else flash(cells.sold, '--flash', 500)
  }

  // The first and the last place that can be seen.
  #inSight() {
    const { scrollTop, clientHeight } = this.#scroller
    return [Math.floor(scrollTop / ROW) - 1, Math.ceil((scrollTop + clientHeight) / ROW)]
  }
}

/** The height of a row, as the style sheet has it. */
const ROW = 44

const NOWHERE = [0, -1]

function isIn([first, last], place) {
  return place >= first && place <= last
}

function flash(element, color, duration) {
  element.animate([{ backgroundColor: `var(${color})`, offset: 0 }], duration)
}

function matches({ name, group }, wanted) {
  return wanted === '' || name.toLowerCase().includes(wanted) || group.toLowerCase().includes(wanted)
}

function compare(one, other) {
  return one < other ? -1 : one > other ? 1 : 0
}

function sum(values) {
  return values.reduce((total, value) => total + value, 0)
}
