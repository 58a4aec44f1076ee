"""Load generators that wait for the word, played by small Python programs."""

import sys

import pytest

from bench.poised import Done, Poised

DONE = '{"units": 7, "seconds": 2.0, "cpu_s": 1.0, "p50_us": 1, "p95_us": 2, "p99_us": 3}'


def program(text: str) -> list[str]:
    return [sys.executable, "-c", f"import sys\n{text}"]


def test_it_waits_for_the_word_and_says_what_it_did() -> None:
    told = f"print('ready', flush=True); assert sys.stdin.readline() == 'go\\n'; print('{DONE}')"
    with Poised(program(told)) as load:
        done = load.go()
    assert done == Done(7, 2.0, 1.0, 1, 2, 3)
    assert done.latencies == {"p50_us": 1, "p95_us": 2, "p99_us": 3}


def test_one_that_cannot_get_ready_is_an_error_with_its_words() -> None:
    with pytest.raises(RuntimeError, match="no such statement"):
        Poised(program("sys.exit('no such statement')")).__enter__()


def test_one_that_breaks_off_is_an_error_with_its_words() -> None:
    with Poised(program("print('ready', flush=True); sys.stdin.readline(); sys.exit('the answer')")) as load:
        with pytest.raises(RuntimeError, match="the answer"):
            load.go()


def test_one_that_says_nothing_is_an_error_with_its_exit_code() -> None:
    with Poised(program("print('ready', flush=True); sys.stdin.readline(); sys.exit(3)")) as load:
        with pytest.raises(RuntimeError, match="ended with 3"):
            load.go()


def test_one_that_is_never_given_the_word_ends_with_the_context() -> None:
    load = Poised(program("print('ready', flush=True); sys.exit(0 if sys.stdin.readline() == '' else 1)"))
    with load:
        pass
    assert load.returncode == 0
