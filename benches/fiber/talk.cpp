// Few fibers: they switch, yield, talk by channels, spawn one at a time, lock.
#include "harness.hpp"

#include <boost/context/fiber.hpp>

#include <mutex>

namespace {

template <typename T> using Rendezvous = boost::fibers::unbuffered_channel<T>;
template <typename T> using Buffered = boost::fibers::buffered_channel<T>;

// A capacity is a power of two, and one less is the room.
constexpr std::size_t CAPACITY = 128;

Nanos switches(std::uint64_t count) {
    bool stop = false;
    boost::context::fiber other([&stop](boost::context::fiber&& caller) {
        while (!stop) caller = std::move(caller).resume();
        return std::move(caller);
    });
    other = std::move(other).resume();
    const Time start = Clock::now();
    for (std::uint64_t index = 0; index < count; ++index) other = std::move(other).resume();
    const Nanos elapsed = since(start);
    stop = true;
    other = std::move(other).resume();
    return elapsed;
}

Nanos yields(std::uint64_t parties, std::uint64_t count) {
    const std::uint64_t each = (count + parties - 1) / parties;
    std::vector<std::function<void()>> all(parties, [each] {
        for (std::uint64_t index = 0; index < each; ++index) boost::this_fiber::yield();
    });
    const Nanos elapsed = race(all);
    return Nanos(Nanos::rep(double(elapsed.count()) * double(count) / double(each * parties)));
}

Nanos pingpong(std::uint64_t trips) {
    Rendezvous<std::uint64_t> there, back;
    auto partner = spawn([&] {
        std::uint64_t ball;
        while (there.pop(ball) == boost::fibers::channel_op_status::success) back.push(ball);
    });
    auto trip = [&](std::uint64_t ball) {
        there.push(ball);
        check(back.value_pop() == ball, "a wrong ball came back");
    };
    // The first one starts the partner.
    trip(0);
    const Time start = Clock::now();
    for (std::uint64_t ball = 0; ball < trips; ++ball) trip(ball);
    const Nanos elapsed = since(start);
    there.close();
    partner.join();
    return elapsed;
}

Nanos stream(std::uint64_t messages) {
    Buffered<std::uint64_t> channel(CAPACITY);
    Time end;
    Time start;
    auto receiver = spawn([&] {
        for (std::uint64_t expected = 0; expected < messages; ++expected) {
            check(channel.value_pop() == expected, "a wrong message came");
        }
        end = Clock::now();
    });
    boost::this_fiber::yield();
    start = Clock::now();
    for (std::uint64_t message = 0; message < messages; ++message) channel.push(message);
    receiver.join();
    return end - start;
}

Nanos mpmc(std::uint64_t messages) {
    constexpr std::uint64_t SIDES = 4;
    const std::uint64_t each = (messages + SIDES - 1) / SIDES;
    Buffered<std::uint64_t> channel(CAPACITY);
    std::atomic<std::uint64_t> sum{0}, sending{SIDES};
    std::vector<std::function<void()>> parties;
    for (std::uint64_t side = 0; side < SIDES; ++side) {
        parties.push_back([&] {
            for (std::uint64_t message = 1; message <= each; ++message) channel.push(message);
            if (sending.fetch_sub(1) == 1) channel.close();
        });
        parties.push_back([&] {
            std::uint64_t own = 0, message;
            while (channel.pop(message) == boost::fibers::channel_op_status::success) own += message;
            sum += own;
        });
    }
    const Nanos elapsed = race(parties);
    check(sum == SIDES * (each * (each + 1) / 2), "a message is lost or came twice");
    return Nanos(Nanos::rep(double(elapsed.count()) * double(messages) / double(SIDES * each)));
}

Nanos spawn_joins(std::uint64_t count) {
    const Time start = Clock::now();
    for (std::uint64_t index = 0; index < count; ++index) spawn([] {}).join();
    return since(start);
}

void link(std::uint64_t left, boost::fibers::promise<void>* done) {
    if (left <= 1) return done->set_value();
    spawn([left, done] { link(left - 1, done); }).detach();
}

Nanos chain(std::uint64_t links) {
    boost::fibers::promise<void> done;
    auto told = done.get_future();
    const Time start = Clock::now();
    spawn([links, &done] { link(links, &done); }).detach();
    told.get();
    return since(start);
}

Nanos mutex_alone(std::uint64_t count) {
    boost::fibers::mutex lock;
    std::uint64_t value = 0;
    const Time start = Clock::now();
    for (std::uint64_t index = 0; index < count; ++index) {
        std::lock_guard<boost::fibers::mutex> held(lock);
        ++value;
    }
    const Nanos elapsed = since(start);
    check(value == count, "a lock is lost");
    return elapsed;
}

// Steps that depend on each other, a nanosecond or two each.
[[gnu::noinline]] void work(std::uint64_t steps) {
    std::uint64_t state = steps;
    for (std::uint64_t step = 0; step < steps; ++step) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
    }
    asm volatile("" : : "r"(state));
}

Nanos mutex_contended(std::uint64_t count) {
    constexpr std::uint64_t PARTIES = 4;
    const std::uint64_t each = (count + PARTIES - 1) / PARTIES;
    boost::fibers::mutex lock;
    std::uint64_t value = 0;
    std::vector<std::function<void()>> parties(PARTIES, [&, each] {
        for (std::uint64_t index = 0; index < each; ++index) {
            {
                std::lock_guard<boost::fibers::mutex> held(lock);
                ++value;
                work(10);
            }
            work(30);
        }
    });
    const Nanos elapsed = race(parties);
    check(value == PARTIES * each, "a lock is lost");
    return Nanos(Nanos::rep(double(elapsed.count()) * double(count) / double(PARTIES * each)));
}

}  // namespace

Answer talk(const std::string& workload, const Job& job, bool& known) {
    if (workload == "switch-raw") return paced(job, switches);
    if (workload == "yield-2") return paced(job, [](std::uint64_t count) { return yields(2, count); });
    if (workload == "yield-200") {
        const std::uint64_t all = 200 * job.size;
        return once(all, [all] { return yields(200, all); });
    }
    if (workload == "pingpong") return paced(job, pingpong);
    if (workload == "stream") return paced(job, stream);
    if (workload == "mpmc") return paced(job, mpmc);
    if (workload == "spawn-join") return paced(job, spawn_joins);
    if (workload == "chained-spawn") return paced(job, chain);
    if (workload == "mutex") return paced(job, mutex_alone);
    if (workload == "mutex-contended") return paced(job, mutex_contended);
    known = false;
    return {};
}
