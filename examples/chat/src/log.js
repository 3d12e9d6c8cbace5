// What is shown of one room: messages in the order of its log, then those which are not in it yet.

import { createMessage, dress, newDay, readPayload, relate } from './message.js'

/** Entries that are shown at most; the oldest go first. */
const KEPT = 500

/** Messages of one author within this time, in ms, stand together. */
const TOGETHER = 5 * 60_000

/** How far from the end, in px, a reader still follows the conversation. */
const NEAR_THE_END = 48

export class Log {
  /** The scrolling element. */
  element = document.getElementById('log-template').content.firstElementChild.cloneNode(true)
  #list = this.element.querySelector('.entries')
  #hint = this.element.querySelector('.hint')
  #entries = []
  #byPosition = new Map()
  /** Ours that the log has not shown yet, by id. */
  #unplaced = new Map()
  /** Where the history ends: what comes after it is news. Null before it is known. */
  #head = null
  #isFollowing = true
  /** Others wrote below of what the reader sees. */
  #hasNews = false
  #isScrolling = false
  #scrollTop = 0
  #changed

  /** `changed` is called with whether there is news below of what the reader sees. */
  constructor(room, changed) {
    this.#changed = changed
    this.element.setAttribute('aria-label', `Messages in ${room}`)
    this.element.addEventListener('scroll', () => this.#scrolled(), { passive: true })
    new ResizeObserver(() => this.#isFollowing && this.#scrollSoon()).observe(this.element)
  }

  /** The element is in the page again. */
  shown() {
    this.#changed(this.#hasNews)
    if (this.#isFollowing) this.scrollToEnd()
    else this.element.scrollTop = this.#scrollTop
  }

  scrollToEnd() {
    this.#isFollowing = true
    this.element.scrollTop = this.element.scrollHeight
    this.#scrollTop = this.element.scrollTop
    this.#news(false)
  }

  /** Reading has started: everything up to `head` is history. */
  subscribed({ position, head }) {
    if (this.#head) return
    this.#head = parsePosition(head)
    if (position === head) this.#loaded()
  }

  /** A message of the log. Returns whether it is news, written by somebody else. */
  message({ data, id, at, position, epoch, seq }, isOwn) {
    const known = this.#byPosition.get(position) ?? this.#unplaced.get(id)
    const entry = known ?? this.#create(readPayload(data), isOwn, position)
    this.#settle(entry, { id: id ?? position, at, epoch, seq })
    const isNews = this.#head !== null && (epoch !== this.#head.epoch || seq > this.#head.seq)
    if (!isNews && seq === this.#head?.seq) this.#loaded()
    if (isNews && !entry.isOwn && !this.#isFollowing) this.#news(true)
    return isNews && !entry.isOwn && !known
  }

  /** Ours, on its way. `retry` is what the button does, should it fail. */
  sending(id, payload, retry) {
    const entry = this.#create(readPayload(payload), true)
    Object.assign(entry, { id, at: Date.now() })
    this.#unplaced.set(id, entry)
    entry.element.querySelector('.retry').addEventListener('click', () => {
      this.#dress(entry, 'sending')
      retry()
    })
    this.#dress(entry, 'sending')
    this.#place(entry)
    this.scrollToEnd()
  }

  /** Ours is in the log, at this position; the message itself may be yet to come, or be here. */
  acknowledged(id, position) {
    const entry = this.#unplaced.get(id)
    if (entry) this.#settle(entry, { id, at: entry.at, ...parsePosition(position) })
  }

  /** Ours was refused, or nobody knows. */
  failed(id, reason) {
    const entry = this.#unplaced.get(id)
    if (!entry) return
    this.#dress(entry, 'failed', reason)
    if (this.#isFollowing) this.#scrollSoon()
  }

  /** Messages before this position are gone. */
  gap({ position, reason }) {
    this.#divide(reason === 'epoch' ? RESTARTED : MISSING, parsePosition(position))
    this.#loaded()
  }

  /** Says something about the room, at its end. */
  notice(text) {
    const last = this.#entries.findLast(isPlaced)
    this.#divide(text, { epoch: last?.epoch ?? '', seq: last?.seq ?? 0 })
    this.#loaded()
  }

  #divide(text, { epoch, seq }) {
    const element = document.getElementById('divider-template').content.firstElementChild.cloneNode(true)
    element.firstElementChild.textContent = text
    this.#place({ element, epoch, seq, isDivider: true })
  }

  #loaded() {
    this.element.ariaBusy = 'false'
    this.#hint.textContent = 'Nothing here yet. Say hello!'
    this.#hint.hidden = this.#entries.length > 0
  }

  #create(payload, isOwn) {
    return { ...payload, isOwn, element: createMessage(payload, isOwn) }
  }

  #dress(entry, state, reason) {
    dress(entry.element, { ...entry, state, reason })
  }

  // Into the place that the log gives it.
  #settle(entry, { id, at, epoch, seq }) {
    this.#unplaced.delete(entry.id)
    this.#byPosition.set(`${epoch}-${seq}`, entry)
    Object.assign(entry, { id, at, epoch, seq })
    this.#dress(entry, 'sent')
    this.#place(entry)
  }

  #place(entry) {
    const entries = this.#entries
    const old = entries.indexOf(entry)
    if (old >= 0) entries.splice(old, 1)
    let index = entries.length
    while (index > 0 && comesAfter(entries[index - 1], entry)) index -= 1
    const next = entries[index]?.element ?? null
    entries.splice(index, 0, entry)
    // What is where it belongs stays untouched: moving it would announce it again.
    if (old < 0 || entry.element.nextSibling !== next) this.#list.insertBefore(entry.element, next)
    if (entries.length > KEPT) this.#forgetOldest()
    for (const changed of new Set([0, old, index - 1, index, index + 1])) this.#relate(changed)
    this.#hint.hidden = true
    if (this.#isFollowing) this.#scrollSoon()
  }

  #forgetOldest() {
    const entry = this.#entries.shift()
    entry.element.remove()
    this.#unplaced.delete(entry.id)
    this.#byPosition.delete(`${entry.epoch}-${entry.seq}`)
    // This moves what is shown, which must not look as if the reader had gone back.
    if (this.#isFollowing) this.#scrollTop = 0
  }

  #relate(index) {
    const entry = this.#entries[index]
    if (!entry || entry.isDivider) return
    const before = this.#entries[index - 1]
    const day = newDay(entry.at, this.#entries.slice(0, index).findLast((other) => !other.isDivider)?.at)
    const isSameAuthor = before?.author === entry.author && before.isOwn === entry.isOwn
    relate(entry.element, { day, continues: day === null && isSameAuthor && entry.at - before.at < TOGETHER })
  }

  // Once a frame, however many messages came.
  #scrollSoon() {
    if (this.#isScrolling || !this.element.isConnected) return
    this.#isScrolling = true
    requestAnimationFrame(() => {
      this.#isScrolling = false
      if (this.#isFollowing && this.element.isConnected) this.scrollToEnd()
    })
  }

  #scrolled() {
    if (!this.element.isConnected) return
    const { scrollTop, scrollHeight, clientHeight } = this.element
    // New content moves the end away from a reader; only who goes back up has ceased to follow.
    const wentBack = scrollTop < this.#scrollTop
    this.#scrollTop = scrollTop
    this.#isFollowing = scrollHeight - clientHeight - scrollTop < NEAR_THE_END || (this.#isFollowing && !wentBack)
    if (this.#isFollowing) this.#news(false)
  }

  #news(hasNews) {
    if (this.#hasNews === hasNews) return
    this.#hasNews = hasNews
    this.#changed(hasNews)
  }
}

const MISSING = 'Some messages are no longer available'
const RESTARTED = 'The server began anew: some messages are no longer available'

function isPlaced(entry) {
  return entry.seq !== undefined
}

// Other epochs stay before: theirs ended when this one began.
function comesAfter(other, entry) {
  if (!isPlaced(entry)) return false
  return !isPlaced(other) || (other.epoch === entry.epoch && other.seq > entry.seq)
}

function parsePosition(position) {
  const [epoch, seq] = position.split('-')
  return { epoch, seq: Number(seq) }
}
