import io.netty.bootstrap.Bootstrap;
import io.netty.bootstrap.ServerBootstrap;
import io.netty.channel.ChannelHandler.Sharable;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelInboundHandlerAdapter;
import io.netty.channel.ChannelOption;
import io.netty.channel.FixedRecvByteBufAllocator;
import io.netty.channel.epoll.EpollDatagramChannel;
import io.netty.channel.epoll.EpollEventLoopGroup;
import io.netty.channel.epoll.EpollServerSocketChannel;
import io.netty.channel.socket.DatagramPacket;

/** Echo on Netty's epoll transport, one event loop. A client that does not read is not read from. */
public final class Echo {
  private static final int UDP_KERNEL_BUFFER = 4 << 20;

  @Sharable
  private static final class Stream extends ChannelInboundHandlerAdapter {
    @Override
    public void channelRead(ChannelHandlerContext context, Object bytes) {
      context.write(bytes, context.voidPromise());
    }

    @Override
    public void channelReadComplete(ChannelHandlerContext context) {
      context.flush();
    }

    @Override
    public void channelWritabilityChanged(ChannelHandlerContext context) {
      context.channel().config().setAutoRead(context.channel().isWritable());
    }

    @Override
    public void exceptionCaught(ChannelHandlerContext context, Throwable cause) {
      context.close();
    }
  }

  @Sharable
  private static final class Datagrams extends ChannelInboundHandlerAdapter {
    @Override
    public void channelRead(ChannelHandlerContext context, Object message) {
      DatagramPacket packet = (DatagramPacket) message;
      context.write(new DatagramPacket(packet.content(), packet.sender()), context.voidPromise());
    }

    @Override
    public void channelReadComplete(ChannelHandlerContext context) {
      context.flush();
    }
  }

  /** Usage: Echo tcp|udp PORT */
  public static void main(String[] arguments) throws InterruptedException {
    EpollEventLoopGroup loop = new EpollEventLoopGroup(1);
    int port = Integer.parseInt(arguments[1]);
    if (arguments[0].equals("udp")) {
      new Bootstrap()
          .group(loop)
          .channel(EpollDatagramChannel.class)
          .option(ChannelOption.SO_RCVBUF, UDP_KERNEL_BUFFER)
          .option(ChannelOption.SO_SNDBUF, UDP_KERNEL_BUFFER)
          .option(ChannelOption.RCVBUF_ALLOCATOR, new FixedRecvByteBufAllocator(65536))
          .handler(new Datagrams())
          .bind("127.0.0.1", port)
          .sync();
    } else {
      new ServerBootstrap()
          .group(loop)
          .channel(EpollServerSocketChannel.class)
          .option(ChannelOption.SO_BACKLOG, 4096)
          .childOption(ChannelOption.TCP_NODELAY, true)
          .childHandler(new Stream())
          .bind("127.0.0.1", port)
          .sync();
    }
  }
}
