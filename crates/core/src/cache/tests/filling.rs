use super::*;

/// Fills what a reader lacks, in pages of so many messages.
fn fill(copy: &mut Cache, store: &Store, position: Position, messages: usize) -> bool {
    let filling = fetch(copy, store, position, messages);
    copy.fill(filling)
}

fn fetch(copy: &Cache, store: &Store, position: Position, messages: usize) -> Filling {
    let mut filling = copy.lacks(position).expect("something is lacking");
    loop {
        let slice = store.read(filling.at(), messages);
        match filling.take(slice) {
            Filled::More => {}
            Filled::Whole => return filling,
            Filled::Unfit => panic!("unfit at {}", filling.at()),
        }
    }
}

#[test]
fn a_stream_is_filled_in_one_page_or_in_many() {
    for page in [usize::MAX, 2, 1] {
        let (store, mut copy, news) = stream(5, 2);
        hear(&mut copy, &news[0]);
        assert!(fill(&mut copy, &store, at(1), page));
        assert_eq!((seqs(&copy, at(1)), copy.serves(at(0))), (vec![2, 3, 4, 5, 6], Serves::No));
        assert!(copy.lacks(at(1)).is_none(), "nothing is lacking any more");
        assert!(fill(&mut copy, &store, at(0), page));
        hear(&mut copy, &news[1]);
        assert_eq!(seqs(&copy, at(0)), [1, 2, 3, 4, 5, 6, 7]);
        assert_eq!(copy.log().bytes(), store.log.bytes());
    }
}

#[test]
fn a_copy_may_grow_while_it_is_filled() {
    let (store, mut copy, news) = stream(4, 2);
    let mut filling = copy.lacks(at(0)).unwrap();
    assert_eq!(filling.take(store.read(filling.at(), 3)), Filled::More);
    hear_all(&mut copy, &news);
    assert_eq!(filling.take(store.read(filling.at(), 3)), Filled::Whole);
    assert!(copy.fill(filling));
    assert_eq!(seqs(&copy, at(0)), [1, 2, 3, 4, 5, 6]);
}

#[test]
fn what_does_not_go_before_the_copy_any_more_is_dropped() {
    let (store, mut copy, news) = stream(2, 2);
    hear_all(&mut copy, &news);
    let [trimmed, anew, closed, again] = [(); 4].map(|()| fetch(&copy, &store, at(0), 9));
    let mut other = store.copy();
    assert!(!other.fill(again), "it begins elsewhere");
    copy.learn(&Head { first: Seq::new(4).unwrap(), ..store.head() });
    assert!(!copy.fill(trimmed), "its beginning was forgotten");
    copy.learn(&Store::with(Kind::Stream, 2, Retention::stream()).head());
    assert!(!copy.fill(anew), "it is of another epoch");
    copy.close();
    assert!(!copy.fill(closed), "it is closed");
    assert!(copy.log().is_empty());
}

#[test]
fn pages_that_go_on_nowhere_are_unfit() {
    let (store, copy, _) = stream(4, 0);
    let filling = || copy.lacks(at(0)).unwrap();
    let whole = store.read(at(0), 9);
    let mut holes = whole.clone();
    holes.messages.remove(2);
    assert_eq!(filling().take(holes), Filled::Unfit, "it leaves out a message");
    let cut = Slice { messages: whole.messages[..2].to_vec(), ..whole.clone() };
    assert_eq!(filling().take(cut), Filled::Unfit, "it ends before it says it does");
    let nothing = Slice { messages: Vec::new(), to: Seq::ZERO, ..whole.clone() };
    assert_eq!(filling().take(nothing), Filled::Unfit, "it would be asked for again for ever");
    let expired = Slice { head: Head { first: Seq::new(3).unwrap(), ..whole.head }, ..whole.clone() };
    assert_eq!(filling().take(expired), Filled::Unfit);
    let other = Head { epoch: Epoch::from_bits(2), ..whole.head };
    assert_eq!(filling().take(Slice { head: other, ..whole }), Filled::Unfit);
}

#[test]
fn too_much_is_not_fetched() {
    let far = u64::try_from(FILL_MESSAGES).unwrap() + 1;
    let head = Seq::new(far).unwrap();
    let (mut stream, mut state) = (Store::new(Kind::Stream).copy(), Store::new(Kind::State).copy());
    let end = Head { epoch: Epoch::from_bits(2), first: Seq::ZERO, head, floor: Seq::ZERO };
    stream.learn(&end);
    state.learn(&end);
    let position = |seq| Position::new(Epoch::from_bits(2), Seq::new(seq).unwrap());
    assert!(stream.lacks(position(0)).is_none());
    assert!(stream.lacks(position(1)).is_some());

    let message = |seq: u64, bytes: usize| {
        let payload = Some(Payload::Binary(vec![0; bytes].into()));
        let message = Message::deletion(Seq::new(seq).unwrap(), 0, 0);
        Arc::new(Message { payload, key: Some(seq.to_string().into()), ..message })
    };
    let page = |messages: Vec<_>| Slice { head: end, messages, to: Seq::new(far - 1).unwrap() };
    let mut many = state.lacks(position(0)).unwrap();
    assert_eq!(many.take(page((1..far).map(|seq| message(seq, 0)).collect())), Filled::More);
    assert_eq!(many.take(Slice { to: head, ..page(vec![message(far, 0)]) }), Filled::Unfit);
    let mut heavy = state.lacks(position(0)).unwrap();
    assert_eq!(heavy.take(page(vec![message(1, FILL_BYTES)])), Filled::More);
    assert_eq!(heavy.take(Slice { to: head, ..page(vec![message(far, 1)]) }), Filled::Unfit);
}

#[test]
fn a_state_is_filled_with_the_keys_of_which_nothing_newer_is_here() {
    for page in [usize::MAX, 2, 1] {
        let mut store = Store::new(Kind::State);
        for key in ["a", "b", "c", "d"] {
            store.set(key);
        }
        store.delete("d");
        let mut copy = store.copy();
        let old = store.read(at(0), usize::MAX);
        hear(&mut copy, &store.set("a"));
        hear(&mut copy, &store.delete("b"));
        let mut filling = copy.lacks(at(0)).unwrap();
        if page == usize::MAX {
            assert_eq!(filling.take(old), Filled::Whole, "it may have been read before the copy grew");
        } else {
            filling = fetch(&copy, &store, at(0), page);
        }
        assert!(copy.fill(filling));
        assert_eq!(seqs(&copy, at(0)), [3, 5, 6, 7]);
        assert_eq!(copy.log().bytes(), store.log.bytes());
    }
}

#[test]
fn no_key_comes_to_life_whose_deletion_was_forgotten_while_it_was_fetched() {
    let mut store = Store::remembering(0);
    store.set("k");
    let mut copy = Cache::remembering(0, Kind::State, Retention::stream());
    copy.learn(&store.head());
    let filling = fetch(&copy, &store, at(0), 9);
    hear(&mut copy, &store.delete("k"));
    assert!(!copy.log().holds("k"));
    assert!(!copy.fill(filling));
    assert!(!copy.log().holds("k"));
    assert!(fill(&mut copy, &store, at(0), 9), "what is fetched from here on knows of it");
    assert!(!copy.log().holds("k"));
    assert_eq!(copy.serves(at(0)), Serves::Yes);
}

#[test]
fn a_state_that_forgot_more_deletions_than_a_page_reaches_can_be_filled() {
    let mut store = Store::remembering(1);
    for key in ["a", "b", "k", "c", "l"] {
        store.set(key);
    }
    store.delete("k");
    store.delete("l");
    let mut copy = store.copy();
    hear(&mut copy, &store.set("d"));
    assert!(fill(&mut copy, &store, at(0), 1));
    assert_eq!(seqs(&copy, with_base(0, 8)), [1, 2, 4, 8]);
    assert_eq!(copy.serves(at(6)), Serves::No, "it may lack the deletion after that");
    assert_eq!(copy.serves(at(7)), Serves::Yes);
}

#[test]
fn a_floor_never_goes_back() {
    let mut store = Store::remembering(9);
    for key in ["a", "b", "c", "d"] {
        store.set(key);
    }
    let before = [store.delete("a").seq, store.delete("b").seq];
    let mut copy = Cache::remembering(2, Kind::State, Retention::stream());
    copy.learn(&store.head());
    hear(&mut copy, &store.delete("c"));
    hear(&mut copy, &store.delete("d"));
    assert!(fill(&mut copy, &store, at(0), 9));
    assert_eq!(copy.log().head().floor, before[1], "it remembers no more than it may");
    assert_eq!(copy.serves(Position::new(Epoch::from_bits(1), before[0])), Serves::No, "it lacks the second");
    copy.learn(&Head { floor: Seq::new(8).unwrap(), ..store.head() });
    hear(&mut copy, &store.set("e"));
    hear(&mut copy, &store.delete("e"));
    assert_eq!(copy.log().head().floor.get(), 8, "though it forgets an older one only now");
}
