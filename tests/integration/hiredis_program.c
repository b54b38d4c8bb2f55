// A hiredis application: prints one line a result, the same whatever stands before Redis.
#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void print_reply(const redisReply* reply) {
    switch (reply->type) {
        case REDIS_REPLY_ARRAY:
            printf("[");
            for (size_t i = 0; i < reply->elements; ++i) {
                printf(i == 0 ? "" : ", ");
                print_reply(reply->element[i]);
            }
            printf("]");
            break;
        case REDIS_REPLY_INTEGER:
            printf("%lld", reply->integer);
            break;
        case REDIS_REPLY_NIL:
            printf("nil");
            break;
        default:
            printf("%d:%.60s(%zu)", reply->type, reply->str, (size_t)reply->len);
    }
}

static void show(const char* what, redisContext* context, redisReply* reply) {
    printf("%s: ", what);
    if (reply == NULL) {
        printf("%s\n", context->errstr);
        exit(1);
    }
    print_reply(reply);
    printf("\n");
    freeReplyObject(reply);
}

static redisReply* next_reply(redisContext* context) {
    void* reply = NULL;
    return redisGetReply(context, &reply) == REDIS_OK ? reply : NULL;
}

static void pipeline(redisContext* context) {
    const int rounds = 10000;
    for (int i = 0; i < rounds; ++i) {
        redisAppendCommand(context, "SET k:%d value%d", i, i);
        redisAppendCommand(context, "GET k:%d", i);
    }
    int right = 0;
    for (int i = 0; i < rounds; ++i) {
        freeReplyObject(next_reply(context));
        redisReply* reply = next_reply(context);
        char wanted[32];
        snprintf(wanted, sizeof wanted, "value%d", i);
        right += reply->type == REDIS_REPLY_STRING && strcmp(reply->str, wanted) == 0;
        freeReplyObject(reply);
    }
    printf("pipeline: %d of %d\n", right, rounds);
}

static void messages(redisContext* listener, redisContext* other) {
    show("subscribe", listener, redisCommand(listener, "SUBSCRIBE one two"));
    show("second", listener, next_reply(listener));
    show("psubscribe", listener, redisCommand(listener, "PSUBSCRIBE o*"));
    show("publish", other, redisCommand(other, "PUBLISH one hello"));
    show("message", listener, next_reply(listener));
    show("pattern message", listener, next_reply(listener));
    show("ping", listener, redisCommand(listener, "PING"));
    show("unsubscribe", listener, redisCommand(listener, "UNSUBSCRIBE"));
    show("second", listener, next_reply(listener));
    show("punsubscribe", listener, redisCommand(listener, "PUNSUBSCRIBE"));
    show("after", listener, redisCommand(listener, "GET k:1"));
}

static void transactions(redisContext* client, redisContext* other) {
    show("multi", client, redisCommand(client, "MULTI"));
    show("queued", client, redisCommand(client, "INCR n"));
    show("wrong type", client, redisCommand(client, "LPUSH k:1 x"));
    show("exec", client, redisCommand(client, "EXEC"));
    show("watch", client, redisCommand(client, "WATCH n"));
    show("incr", other, redisCommand(other, "INCR n"));
    show("multi", client, redisCommand(client, "MULTI"));
    show("queued", client, redisCommand(client, "INCR n"));
    show("exec", client, redisCommand(client, "EXEC"));
    show("multi", client, redisCommand(client, "MULTI"));
    show("poison", client, redisCommand(client, "NOSUCH"));
    show("exec", client, redisCommand(client, "EXEC"));
}

int main(int argc, char** argv) {
    const int port = argc > 1 ? atoi(argv[1]) : 6379;
    redisContext* client = redisConnect("127.0.0.1", port);
    redisContext* other = redisConnect("127.0.0.1", port);
    if (client == NULL || client->err || other == NULL || other->err) {
        fprintf(stderr, "cannot connect to port %d\n", port);
        return 1;
    }
    pipeline(client);
    transactions(client, other);
    messages(client, other);
    char binary[261];
    for (int i = 0; i < 256; ++i) {
        binary[i] = (char)i;
    }
    memcpy(binary + 256, "\r\n*1\r", 5);
    show("set binary", client, redisCommand(client, "SET binary %b", binary, sizeof binary));
    redisReply* reply = redisCommand(client, "GET binary");
    printf("binary: %d\n", reply != NULL && reply->len == sizeof binary && memcmp(reply->str, binary, sizeof binary) == 0);
    freeReplyObject(reply);
    const size_t large_bytes = 20 << 20;
    char* large = malloc(large_bytes);
    memset(large, 'x', large_bytes);
    show("set large", client, redisCommand(client, "SET large %b", large, large_bytes));
    reply = redisCommand(client, "GET large");
    printf("large: %d\n", reply != NULL && reply->len == large_bytes && memcmp(reply->str, large, large_bytes) == 0);
    freeReplyObject(reply);
    free(large);
    show("script", client, redisCommand(client, "EVAL %s 1 a b", "return {KEYS[1], ARGV[1], {1, 2}, false}"));
    show("script error", client, redisCommand(client, "EVAL %s 0", "return redis.call('nosuch')"));
    show("blocking pop", client, redisCommand(client, "BLPOP none 0.02"));
    show("quit", client, redisCommand(client, "QUIT"));
    printf("closed: %s\n", next_reply(client) == NULL ? client->errstr : "no");
    redisFree(client);
    redisFree(other);
    return 0;
}
