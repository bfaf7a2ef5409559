"""The whole loop, `status` and `doctor` where the machine tells as little as Android does."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from engine.text.stories.write import write_stories
from tests.android.sandbox import BATTERY, HIDDEN_FILES, Sandbox, missing
from tests.support.parts import settings

pytestmark = [pytest.mark.android,
              pytest.mark.skipif(missing() is not None, reason=str(missing()))]


def test_the_sandbox_hides_what_android_hides(tmp_path: Path) -> None:
    looks = ("import os, sys\n"
             f"for path in {HIDDEN_FILES!r} + ['/dev/shm', '/sys/class/thermal']:\n"
             "    try:\n"
             "        os.listdir(path) if os.path.isdir(path) else open(path).read()\n"
             "    except (PermissionError, FileNotFoundError):\n"
             "        continue\n"
             "    print('readable:', path)\n"
             "print(sys.platform, hasattr(os, 'link'))\n")
    told = Sandbox(tmp_path, "answers").run("-c", looks)
    assert told.stdout == "android False\n", told.stderr


@pytest.mark.parametrize("battery", list(BATTERY))
def test_a_night_status_and_doctor_work_on_such_a_phone(battery: str, tmp_path: Path) -> None:
    phone = Sandbox(tmp_path, battery)
    text = phone.home / "stories.txt"
    text.write_text("\n<|endoftext|>\n".join(write_stories(120, 0)))
    night = phone.agent("run", "--runs", "4", "--run-tokens", "3k", "--corpus", str(text),
                        *settings())
    assert night.returncode == 0, night.stderr
    assert "Traceback" not in night.stderr
    with closing(sqlite3.connect(phone.home / "nights" / "ledger.db")) as db, db:
        assert db.execute("SELECT count(*) FROM runs WHERE state = 'finished'").fetchone() == (4,)
        (guard,) = db.execute("SELECT group_concat(message, '|') FROM events WHERE kind = 'guard'"
                              ).fetchone()
    db.close()
    assert ("cannot be read" in (guard or "")) == (battery != "answers")
    status = phone.agent("status", "--json")
    assert status.returncode == 0, status.stderr
    assert json.loads(status.stdout)["best"]["val_loss"] > 0
    doctor = phone.agent("doctor", "--json")
    checks = json.loads(doctor.stdout)
    assert {check["verdict"] for check in checks} <= {"ok", "warn", "fail"}
    assert all(check["remedy"] for check in checks if check["verdict"] == "fail")
    assert "Traceback" not in doctor.stderr
