"""Anchors in Kafka show a tail that was cut with its blocks; ``audit_verify --kafka`` compares all."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from kafka import KafkaAdminClient, TopicPartition

from apps.audit.findings import What
from apps.audit.services.verification import audit_verify
from apps.events.anchors import AnchorDisagrees, anchor_newest, anchor_read
from apps.events.kafka.anchors import KafkaAnchors, anchors_list
from apps.events.topics import topic_partition
from apps.primitives.clock import utc_now
from brokerage.supervisor.kafka import EmbeddedKafka
from tests.kafka.stories import relay_drain, relay_make
from tests.support.chain import events_list, events_seal, events_write, session_open
from tests.support.kafka import KafkaReader
from tests.support.tampering import tail_cut

pytestmark = [pytest.mark.usefixtures("database"), pytest.mark.made_up_events]


@pytest.fixture
def anchors(kafka: EmbeddedKafka) -> Iterator[KafkaAnchors]:
    made = KafkaAnchors()
    yield made
    made.close()


def sealed(anchors: KafkaAnchors, blocks: int) -> None:
    """Seal so many blocks of seven events and anchor each."""
    for _ in range(blocks):
        events_write(7, users=5)
        events_seal(batch_events_max=7)
        anchor = anchor_newest()
        assert anchor is not None
        anchors(anchor)


def verdict_of(since: Any) -> Any:
    return audit_verify(None, None, [("Kafka", lambda: anchors_list(since))])


def command(capsys: Any, *arguments: str) -> tuple[int, str]:
    """Run the command; return its exit code and what it said."""
    code = 0
    try:
        call_command("audit_verify", *arguments)
    except SystemExit as end:
        code = int(end.code or 0)
    return code, capsys.readouterr().out


def test_each_tip_is_told_once_as_a_message_of_user_0(anchors: KafkaAnchors, kafka_log: KafkaReader) -> None:
    sealed(anchors, 3)
    newest = anchor_newest()
    assert newest is not None
    anchors(newest)
    messages = kafka_log.read()
    assert [(m.topic, m.partition, m.key) for m in messages] == [("audit-log", topic_partition(0), b"0")] * 3
    told = [anchor_read(message.value) for message in messages]
    assert [anchor.block_no for anchor in told] == [1, 2, 3]
    assert told[2] == replace(newest, heads=None) and told[0].heads is not None, "heads come now and then"


def test_tail_cut_with_its_blocks_is_seen_by_the_anchors_in_kafka(anchors: KafkaAnchors) -> None:
    since = utc_now()
    sealed(anchors, 5)
    assert verdict_of(since).anchored.matched == 5
    with session_open() as session:
        session.autocommit = True
        tail_cut(session, 3, with_blocks=True)
    assert audit_verify().is_whole, "the chain alone cannot know"
    assert verdict_of(since).findings.counts == {What.TAIL_CUT: 1}
    newest = anchor_newest()
    assert newest is not None
    with pytest.raises(AnchorDisagrees, match="cut or made anew"):
        anchors(newest)


def test_new_start_voids_what_was_anchored_of_later_blocks(anchors: KafkaAnchors) -> None:
    since = utc_now()
    sealed(anchors, 5)
    with session_open() as session:
        session.autocommit = True
        tail_cut(session, 3, with_blocks=True)
    newest = anchor_newest()
    assert newest is not None
    anchors(replace(newest, is_new_start=True))
    verdict = verdict_of(since)
    assert verdict.findings.counts == {What.SET_BACK: 1} and verdict.anchored.voided == 3
    assert audit_verify(None, None, [("Kafka", lambda: anchors_list(since))], accepted=[3]).is_whole


def test_two_relays_that_tell_for_a_moment_mixed_up_are_no_finding(kafka: EmbeddedKafka) -> None:
    since = utc_now()
    first, second = KafkaAnchors(), KafkaAnchors()
    told = []
    for _ in range(3):
        events_write(7)
        events_seal(batch_events_max=7)
        told.append(anchor_newest())
    for teller, anchor in ((first, told[0]), (first, told[2]), (second, told[1]), (second, told[2])):
        assert anchor is not None
        teller(anchor)
    first.close()
    second.close()
    verdict = verdict_of(since)
    assert verdict.is_whole and verdict.anchored.matched == 3


def test_blocks_sealed_and_anchored_while_verifying_runs_are_no_cut_tail(anchors: KafkaAnchors) -> None:
    since = utc_now()
    sealed(anchors, 2)

    def lines() -> Any:
        sealed(anchors, 1)
        return anchors_list(since)

    assert audit_verify(None, None, [("Kafka", lines)]).is_whole


def test_command_finds_what_kafka_lost_and_sends_it_again(
    anchors: KafkaAnchors,
    kafka: EmbeddedKafka,
    kafka_log: KafkaReader,
    capsys: Any,
    settings: Any,
    tmp_path: Path,
) -> None:
    settings.AUDIT_ANCHOR_DIR = tmp_path
    admin = KafkaAdminClient(bootstrap_servers=kafka.bootstrap.split(","))
    sealed(anchors, 4)
    relay = relay_make()
    relay_drain(relay, 28)
    relay.sink.close()  # type: ignore[attr-defined]
    code, said = command(capsys, "--kafka")
    assert code == 0 and "4 anchors of Kafka match" in said and "Kafka has everything" in said
    # Not of the topic partition in which the anchors are.
    lost = next(one for one in events_list() if topic_partition(one.user_id) != topic_partition(0))
    [kept] = [one for one in kafka_log.read() if one.topic == "audit-log" and one.value == lost.value()]
    admin.delete_records({TopicPartition(kept.topic, kept.partition): kept.offset + 1})
    admin.close()
    code, said = command(capsys, "--kafka")
    assert code == 1 and "audit-log misses the event" in said and "--resend" in said
    code, said = command(capsys, "--kafka", "--resend")
    assert code == 0 and "1 events were sent again" in said
    assert command(capsys, "--kafka")[0] == 0
    with pytest.raises(CommandError, match="goes with --kafka"):
        command(capsys, "--resend")
